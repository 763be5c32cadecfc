"""Stage 1: a corpus's own script makes the sets, unless it has done so from what it reads now."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.recipe.listing import folder_listing
from xlsrt.recipe.step import Step, run_step

MARKER = ".prepared"
# ${AN4:-downloads/an4}: a variable that says where the corpus lies, or in which language, and its default.
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*):-([^}]*)\}")
_ASSIGNED = re.compile(r"\b([a-z_]+)=([^\s;\"'()]+)")
# Options of scripts that name what is written, or audio, which stage 2 looks at.
_NOT_READ = ("--output_dir", "--audio_dir", "--audio_root")


def prepare(
    script: Path,
    output_dir: Path,
    sets: Sequence[str],
    options: Sequence[str],
    nj: int,
    written: Sequence[Path] = (),
) -> int:
    """Run ``local/data.sh`` of a corpus; returns its exit code.

    Args:
        sets: that the recipe wants in ``output_dir``. options: of the script, as the user gave them.
        written: other folders that the recipe writes.

    Raises:
        UserError: there is no script; a set of the user's own is in the way; a set is none that it makes.
    """
    if not script.is_file():
        raise UserError(f"{script}: no such file: it makes the sets of a corpus (see CONTRIBUTING.md)")
    step = preparation(script, output_dir, sets, options, nj, written)
    if code := run_step(step):
        return code
    made = sorted(path.parent.name for path in output_dir.glob("*/wav.scp"))
    for name in sets:
        if name not in made:
            raise UserError(
                f"{output_dir / name}: {script} does not make this set; there are {', '.join(made)}: correct "
                "--train_set, --valid_set or --test_sets, or make this Kaldi directory yourself (see README)"
            )
    return 0


def preparation(
    script: Path,
    output_dir: Path,
    sets: Sequence[str],
    options: Sequence[str],
    nj: int,
    written: Sequence[Path] = (),
) -> Step:
    """The step of `prepare`. What the script is pointed to counts: the content of a file, the
    `folder_listing` of a folder, but of none that has to do with what the recipe writes.
    """
    defaults = _variables(script)
    values = {name: os.environ[name] for name in sorted(defaults) if name in os.environ}
    places: list[str] = []
    for name, usual in defaults.items():
        places += [values[name]] if values.get(name) else usual
    sources = [Path(place) for place in dict.fromkeys([*places, *_named(options)])]
    read = [
        source for source in sources if source.is_dir() and not _is_written(source, [output_dir, *written])
    ]
    folders = [folder_listing(source) for source in read]
    command = [str(script), "--output_dir", str(output_dir)]
    return Step(
        title="run.sh stage 1: data preparation",
        kind="data",
        marker=output_dir / MARKER,
        command=[*command, "--nj", str(nj), *options],
        identity=[*command[1:], *options, *(f"{name}={value}" for name, value in values.items()), *folders],
        inputs=[str(script), *(str(source) for source in sources if source.is_file())],
        outputs=[str(output_dir / name / "wav.scp") for name in sets],
        makes=str(output_dir / "*/wav.scp"),
    )


def _variables(script: Path) -> dict[str, list[str]]:
    """The variables that a script takes and the paths that stand for one that is not set.

    Such as ``"${AN4:-downloads/an4}"`` or ``"${MLS:-$source}"`` with ``source=$here/../downloads/mls``, where
    ``$here`` is the script's folder. The first of several assignments holds unless another variable, such as
    ``LANGUAGES``, is set: then any may.
    """
    text = script.read_text(encoding="utf-8")
    told = any(os.environ.get(name) for name, _ in _VARIABLE.findall(text))
    found: dict[str, list[str]] = {}
    for name, default in _VARIABLE.findall(text):
        assigned = [value for other, value in _ASSIGNED.findall(text) if default == f"${other}"]
        assigned = assigned if told else assigned[:1]
        paths = [value for value in assigned or [default] if "/" in value]
        found.setdefault(name, []).extend(path.replace("$here", str(script.parent)) for path in paths)
    return found


def _is_written(folder: Path, written: Sequence[Path]) -> bool:
    """Whether what the recipe itself writes shows in a folder: the script would run every time."""
    place, work = folder.resolve(), [one.resolve() for one in written]
    return any(place.is_relative_to(one) or one.is_relative_to(place) for one in work)


def _named(options: Sequence[str]) -> list[str]:
    """Words of options that may be paths to read: ``--source x`` or ``--source=x``."""
    words = []
    last = ""
    for word in options:
        name, equals, value = word.partition("=") if word.startswith("--") else (last, "=", word)
        last = name
        if equals and value and name not in _NOT_READ:
            words.append(value)
    return words
