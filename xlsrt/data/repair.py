"""Mend, cut and join data directories: what Kaldi's fix_data_dir, subset_data_dir and combine_data do."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from xlsrt.data.arks import read_format, write_format
from xlsrt.data.kaldi import DataDir, is_pipe, parse_segment, write_spk2utt
from xlsrt.data.overshoot import RecordingLengths
from xlsrt.data.set_tables import BY_RECORDING, new_tables, speaker_tables, table_names
from xlsrt.data.tables import decode_line, load_table, write_table
from xlsrt.data.validate import audio_file_problem, transcript_problem
from xlsrt.errors import UserError
from xlsrt.files import atomic_open

log = logging.getLogger(__name__)


def _lenient(path: Path, dropped: dict[str, str]) -> dict[str, str]:
    """A table without its bad lines: the first of two with one id stays, others are noted in ``dropped``."""
    table: dict[str, str] = {}
    with open(path, "rb") as stream:
        for number, raw in enumerate(stream, 1):
            where = f"{path.name}:{number}"
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if not raw.strip():
                continue
            try:
                line = decode_line(raw, where)
            except UserError:
                key = raw.split(None, 1)[0].decode("utf-8", "backslashreplace")
                dropped[key] = f"{where} is not UTF-8"
                continue
            key, _, value = line.strip().replace("\t", " ").partition(" ")
            if key in table:
                if table[key] != value.strip():
                    log.warning("%s: '%s' comes twice, the first is kept", where, key)
                continue
            table[key] = value.strip()
    return table


def fix(
    path: str | os.PathLike[str],
    allow_pipes: bool = False,
    utt_extra_files: Sequence[str] = (),
    spk_extra_files: Sequence[str] = (),
) -> dict[str, str]:
    """Sort the tables, drop what cannot be used and keep the old tables in ``.backup``.

    Dropped: utterances missing in a table, without words, with bytes that are not UTF-8, without usable
        audio, over half a second too late for their recording.
    Further files by utterance or by speaker lose the rows of those who went.
    Returns them with their reasons, also written to ``dropped``.

    Raises:
        UserError: nothing would be left; the directory is then unchanged.
    """
    data = DataDir(path)
    data.require("wav.scp", "utt2spk")
    dropped: dict[str, str] = {}
    extras = [name for name in utt_extra_files if data.has(name)]
    tables = {
        name: _lenient(data.path / name, dropped) for name in dict.fromkeys([*table_names(data), *extras])
    }
    by_speaker = speaker_tables(data, spk_extra_files)
    wavs = tables["wav.scp"]
    needed = [name for name in ("utt2spk", "text", "segments") if name in tables]
    keep: list[str] = []
    lengths = RecordingLengths(data, wavs, tables.get("reco2dur", {}))
    for utt in sorted(set().union(*(tables[name] for name in needed), () if "segments" in tables else wavs)):
        reason = dropped.get(utt) or _reason(lengths, utt, tables, needed, allow_pipes)
        if reason:
            dropped[utt] = reason
        else:
            keep.append(utt)
    if not keep:
        example = next(iter(dropped.items()), ("", "there are no utterances"))
        raise UserError(
            f"{data.path}: no utterance would be left ({example[0]}: {example[1]}): nothing was changed"
        )
    backup = data.path / ".backup"
    backup.mkdir(exist_ok=True)
    for name in [*tables, *by_speaker, *(["spk2utt"] if data.has("spk2utt") else [])]:
        shutil.copy2(data.path / name, backup / name)
    _write_kept(data.path, tables, keep, by_speaker)
    _add_to_dropped(data.path / "dropped", dropped, set(keep))
    log.info("%s: kept %d utterances, dropped %d (%s/dropped)", data.path, len(keep), len(dropped), data.path)
    return dropped


def _add_to_dropped(path: Path, dropped: dict[str, str], kept: Collection[str]) -> None:
    """Write the list, with what was on it before: the reader of the corpus may have left some out already."""
    # One utterance may be on it several times: a list that had it three times has it once in the set, and two
    # lines here.
    old = path.read_text(encoding="utf-8", errors="backslashreplace").splitlines() if path.is_file() else []
    gone = [line for line in old if line.strip() and line.split()[0] not in {*kept, *dropped}]
    with atomic_open(path) as stream:
        stream.writelines(f"{line}\n" for line in sorted([*gone, *map(" ".join, dropped.items())]))


def _reason(
    lengths: RecordingLengths,
    utt: str,
    tables: dict[str, dict[str, str]],
    needed: Sequence[str],
    allow_pipes: bool,
) -> str | None:
    for name in needed:
        if not tables[name].get(utt):
            return f"empty in {name}" if utt in tables[name] else f"missing in {name}"
    if "text" in tables and (problem := transcript_problem(tables["text"][utt])):
        return problem
    recording, start = utt, 0.0
    end: float | None = None
    if "segments" in tables:
        try:
            recording, start, end = parse_segment(tables["segments"][utt], "")
        except UserError:
            return f"malformed segment '{tables['segments'][utt]}'"
    wav = tables["wav.scp"].get(recording)
    if not wav:
        return f"recording '{recording}' missing in wav.scp"
    if is_pipe(wav) and not allow_pipes:
        return "its audio is a command"
    problem = None if is_pipe(wav) else audio_file_problem(lengths.data.resolve(wav))
    return problem or (lengths.problem(wav, start, end) if "segments" in tables else None)


def _write_kept(
    path: Path,
    tables: dict[str, dict[str, str]],
    keep: Sequence[str],
    by_speaker: dict[str, dict[str, str]],
) -> None:
    """Write the rows of ``keep``, of the recordings that a kept segment needs, and of the speakers."""
    segments = tables.get("segments")
    recordings = sorted({segments[utt].split()[0] for utt in keep}) if segments else keep
    for name, table in tables.items():
        keys = recordings if name in BY_RECORDING else keep
        write_table(path / name, ((key, table[key]) for key in keys if key in table))
    speakers = {tables["utt2spk"][utt] for utt in keep}
    for name, table in by_speaker.items():
        write_table(path / name, ((key, table[key]) for key in sorted(speakers & table.keys())))
    write_spk2utt(path)


def subset(source: str | os.PathLike[str], target: str | os.PathLike[str], keep: Collection[str]) -> int:
    """Write the utterances of ``keep`` as a set of their own; returns their number.

    Names of which the set knows nothing are counted and told.

    Raises:
        UserError: it knows none of them, or the target is the source.
    """
    data = DataDir(source)
    data.require("wav.scp", "utt2spk")
    if data.path.resolve() == Path(target).resolve():
        raise UserError(f"{target}: is the source itself: choose another directory for the subset")
    tables = {name: load_table(data.path / name) for name in table_names(data)}
    wanted = sorted(utt for utt in tables["utt2spk"] if utt in keep)
    if not wanted:
        raise UserError(f"{data.path}: none of the wanted utterances is in it: the subset would be empty")
    if unknown := sorted(set(keep) - tables["utt2spk"].keys()):
        log.warning(
            "%s: %d of the wanted utterances are not in it, such as %s", data.path, len(unknown), unknown[0]
        )
    tables["wav.scp"] = {key: data.resolve(value) for key, value in tables["wav.scp"].items()}
    with new_tables(target) as fresh:
        _write_kept(fresh, tables, wanted, speaker_tables(data))
    write_format(Path(target), read_format(data.path))
    return len(wanted)


def combine(
    target: str | os.PathLike[str],
    sources: Iterable[str | os.PathLike[str]],
    extra_files: Sequence[str] = (),
) -> int:
    """Join sets into one; returns its number of utterances. Only tables that all sets have are kept.

    Where some have ``utt2uniq``, utterances of those without are their own originals, and where some have
    ``segments``, utterances of those without are their recordings from beginning to end, as in Kaldi.
    ``extra_files`` are further tables by utterance.

    Raises:
        UserError: two sets share an id with different values, or the audio of one lies in archives and that
            of another in files.
    """
    datas = [DataDir(source) for source in sources]
    if not datas:
        raise UserError("combine: no source directories given")
    for data in datas:
        data.require("wav.scp", "utt2spk")
    speakers = [speaker_tables(data) for data in datas]
    tables = [
        [*table_names(data), *filter(data.has, extra_files), *mine]
        for data, mine in zip(datas, speakers, strict=True)
    ]
    names = set(tables[0]).intersection(*tables)
    if any("utt2uniq" in mine for mine in tables):
        names.add("utt2uniq")
    if any(data.has("segments") for data in datas):
        names.add("segments")
    formats = {read_format(data.path) for data in datas}
    if len(formats) > 1:
        raise UserError(
            f"{target}: the audio of some of the sets lies in archives and that of others in files: format "
            "them alike (stage 2, --audio_format)"
        )
    lost = set().union(*tables) - names
    if lost:
        log.warning("%s: not in every set, left out: %s", target, ", ".join(sorted(lost)))
    if nowhere := sorted(set(extra_files) - set().union(*tables)):
        log.warning("%s: --extra-files: in none of the sets: %s", target, ", ".join(nowhere))
    merged: dict[str, dict[str, str]] = {name: {} for name in names}
    for data in datas:
        for name in names:
            if name == "utt2uniq" and not data.has(name):
                continue
            if name == "segments" and not data.has(name):
                rows = {utt: f"{utt} 0 -1" for utt in load_table(data.path / "utt2spk")}
            else:
                rows = load_table(data.path / name)
            for key, value in rows.items():
                value = data.resolve(value) if name == "wav.scp" else value
                if merged[name].setdefault(key, value) != value:
                    raise UserError(f"{data.path}/{name}: '{key}' is also in another set, with another value")
    keep = sorted(merged["utt2spk"])
    if "utt2uniq" in merged:
        merged["utt2uniq"] = {utt: merged["utt2uniq"].get(utt, utt) for utt in keep}
    by_speaker = {name: merged.pop(name) for name in names & speakers[0].keys()}
    with new_tables(target) as fresh:
        _write_kept(fresh, merged, keep, by_speaker)
    write_format(Path(target), formats.pop())
    return len(keep)
