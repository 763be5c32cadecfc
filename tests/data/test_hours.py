"""The low-resource subset: so many hours, spread over the speakers, always the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from xlsrt.bin.data_dir import main
from xlsrt.data.hours import choose_hours
from xlsrt.data.tables import load_table
from xlsrt.data.tokens import read_texts
from xlsrt.errors import UserError


def write_dump(path: Path, speakers: dict[str, int], speeds: tuple[str, ...] = ("",)) -> Path:
    """Utterances of 36 s: a hundred to the hour."""
    path.mkdir(parents=True)
    rows = sorted(
        (s + f"{k}-{n:03d}", s + k) for k, count in speakers.items() for n in range(count) for s in speeds
    )
    for name, value in (("wav.scp", "x.wav"), ("text", "word"), ("utt2num_samples", str(36 * 16000))):
        (path / name).write_text("".join(f"{utt} {value}\n" for utt, _ in rows))
    (path / "utt2spk").write_text("".join(f"{utt} {speaker}\n" for utt, speaker in rows))
    return path


def test_speakers_share_the_hours(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "train", {"a": 500, "b": 40, "c": 10})
    chosen = choose_hours(dump, 1.0)
    assert len(chosen) == 100
    heard = Counter(utt.split("-")[0] for utt in chosen)
    assert heard == {"a": 50, "b": 40, "c": 10}
    assert chosen == choose_hours(dump, 1.0)
    assert set(choose_hours(dump, 0.3)) < set(chosen), "a smaller choice is part of a larger one"
    assert {utt for utt in chosen if utt.startswith("a")} != {f"a-{n:03d}" for n in range(50)}


def test_speakers_that_are_called_like_copies_are_none(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "train", {f"sp{n}": 50 for n in (1, 2, 3)})
    chosen = choose_hours(dump, 0.3)
    assert len(chosen) == 30
    assert Counter(utt.split("-")[0] for utt in chosen) == {"sp1": 10, "sp2": 10, "sp3": 10}
    assert len(list(read_texts([dump / "text"], copies=False))) == 150
    lines = (dump / "text").read_text().splitlines()
    bare = tmp_path / "bare"
    bare.write_text("".join(f"{line}{number}\n" for number, line in enumerate(lines)))
    assert len(list(read_texts([bare], copies=False))) == 150, "other words"
    copied = write_dump(tmp_path / "copied", {"sp1": 5}, ("", "sp0.9-", "sp1.1-"))
    assert len(list(read_texts([copied / "text"], copies=False))) == 5


def test_copies_at_other_speeds_come_along(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "train", {"a": 50, "b": 50}, ("", "sp0.9-", "sp1.1-"))
    chosen = choose_hours(dump, 0.5)
    assert len(chosen) == 150
    originals = {utt for utt in chosen if not utt.startswith("sp")}
    assert {utt.removeprefix("sp0.9-").removeprefix("sp1.1-") for utt in chosen} == originals
    plain = choose_hours(write_dump(tmp_path / "plain", {"a": 50, "b": 50}), 0.5)
    assert originals == set(plain)


def test_the_command_writes_a_set(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dump = write_dump(tmp_path / "train", {"a": 20, "b": 20})
    main(["subset", "--hours", "0.17", str(dump), str(tmp_path / "part")])
    assert len(load_table(tmp_path / "part/utt2num_samples")) == 17
    assert set(load_table(tmp_path / "part/spk2utt")) == {"a", "b"}
    main(["subset", "--hours", "9", str(dump), str(tmp_path / "all")])
    assert len(load_table(tmp_path / "all/text")) == 40
    assert caplog.text.count("train: has only 0.40 hours, not 9: all of it is used") == 1
    caplog.clear()
    assert len(choose_hours(dump, 0.4)) == 40 and not caplog.messages, "it has just so many"
    assert len(choose_hours(dump, 0.395)) == 39 and "has only" not in caplog.text
    above = "give a number above 0"
    for hours, message in (
        *(("0", above), ("-1", above), ("nan", above), ("inf", above)),
        ("0.001", "less than the first utterance"),
    ):
        with pytest.raises(UserError, match=message):
            main(["subset", "--hours", hours, str(dump), str(tmp_path / "none")])
    with pytest.raises(UserError, match="--hours, otherwise"):
        main(["subset", "--hours", "1", str(dump), "3", str(tmp_path / "none")])


def test_lengths_that_are_missing_or_no_numbers_are_named(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "train", {"a": 5}, ("", "sp0.9-"))
    lines = (dump / "utt2num_samples").read_text().splitlines(keepends=True)
    original = [line for line in lines if not line.startswith("a-002 ")]
    (dump / "utt2num_samples").write_text("".join(original))
    assert len(choose_hours(dump, 1.0)) == 10, "the copy tells"
    (dump / "utt2num_samples").write_text("".join(line for line in original if "a-002" not in line))
    with pytest.raises(UserError, match="1 utterances of utt2spk are missing, such as a-002: format"):
        choose_hours(dump, 0.01)
    (dump / "utt2num_samples").write_text("".join(lines).replace("a-001 576000", "a-001 36.0"))
    with pytest.raises(UserError, match=r"utterance 'a-001' has '36\.0' samples; a whole number"):
        choose_hours(dump, 0.01)
