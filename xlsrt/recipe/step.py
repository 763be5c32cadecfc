"""Run one step of the recipe unless it is done: lock, log, marker; the log's tail where it fails.

Killing run.sh kills its steps (Linux tells them), and locks held by every process of a step keep a second
run.sh from working on the same things: it waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlsrt.errors import QUIET
from xlsrt.processes import TO_END, die_with_parent
from xlsrt.recipe import made
from xlsrt.recipe.listing import audio_is_there, audio_listing
from xlsrt.recipe.markers import (
    file_digest,
    fingerprint,
    is_done,
    read_marker,
    relevant_command,
    write_marker,
)

_TAIL_LINES = 25


@dataclass
class Step:
    """One step.

    Attributes:
        title: for people, e.g. "run.sh stage 6: training stage 2b".
        kind: key of `xlsrt.recipe.markers.STEP_VERSIONS`.
        marker: file that says it is done.
        command: program and arguments.
        inputs: files whose content the result depends on.
        audio: those of them that are a wav.scp: sizes and times of the files that they name count too.
        outputs: files that must exist afterwards; a missing one means that the step is not done.
        keeps_audio: whether a wav.scp among them is there only with the audio that it names.
        makes: pattern of the tables that the command makes. With it, only those of ``outputs`` count that it
            made: others it may never make. One of another origin is not replaced (`xlsrt.recipe.made`).
        log: where the command's own output goes; None: to the terminal.
        follow: log that is echoed and whose tail is shown (default: `log`), where the command writes another.
        echo: regular expression of the lines of `follow` to show while it runs; its groups, where it has any.
        before: called before the command runs, under the lock.
        identity: what the fingerprint takes for the command, where the command does not say it all.
        lock: the lock's file (default: beside the marker).
        covers: further steps that the command does along. It must fail where it cannot. Their locks are held
            and their markers go with the step's own.
    """

    title: str
    kind: str
    marker: Path
    command: Sequence[str]
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    log: Path | None = None
    follow: Path | None = None
    echo: str = ""
    before: Callable[[], None] | None = field(default=None, repr=False)
    identity: Sequence[str] | None = None
    lock: Path | None = None
    covers: Sequence[Step] = ()
    makes: str = ""
    audio: Sequence[str] = ()
    keeps_audio: bool = False

    def fingerprint(self) -> str:
        """Hash of everything that the result depends on."""
        words = relevant_command(self.command) if self.identity is None else self.identity
        listings = [audio_listing(Path(table)) for table in self.audio if Path(table).is_file()]
        return fingerprint(self.kind, [*words, *listings], self.inputs)

    def is_done(self) -> bool:
        """Whether it has been done with what it depends on now."""
        return self.is_done_as(self.fingerprint())

    def is_done_as(self, wanted: str) -> bool:
        """The same for a fingerprint that is known."""
        known = made.tables(self.marker) if self.makes else None
        outputs = [path for path in self.outputs if known is None or path in known]
        tables = [Path(path) for path in outputs if self.keeps_audio and Path(path).name == "wav.scp"]
        return is_done(self.marker, wanted, outputs) and all(map(audio_is_there, tables))


def run_step(step: Step) -> int:
    """Run the step, or say that it is done. Returns the command's exit code."""
    wanted = step.fingerprint()
    if step.is_done_as(wanted):
        say(f"{step.title}: done already")
        return 0
    with contextlib.ExitStack() as stack:
        # In one order, so that two runs never wait for each other.
        steps = {_lock_of(one): one for one in (step, *step.covers)}
        again = _lock_of(step).exists()
        handles = [stack.enter_context(_lock(path, steps[path])) for path in sorted(steps)]
        if step.is_done_as(wanted):
            say(f"{step.title}: done by another run")
            return 0
        covered = [(other, other.fingerprint()) for other in step.covers]
        for one in (step, *step.covers):
            if one.makes:
                made.begin(one.marker, one.makes, one.outputs, one.command[0], again)
            else:
                one.marker.unlink(missing_ok=True)
        if step.before:
            step.before()
        where = step.follow or step.log
        say(step.title + (f" (log: {where})" if where else ""))
        started = time.monotonic()
        code = _execute(step, handles)
        if step.makes:
            made.end(step.marker, step.makes, step.command[0], code == 0)
        if code == 0:
            code = _check_outputs(step)
        if code != 0:
            _explain(step, code)
        if step.makes and (kept := made.settle(step.marker)):
            text = f"tables have changed; what they were is in {', '.join(kept)}"
            print(f"warning: {step.title}: {text}", file=sys.stderr)
        if code != 0:
            return code
        _mark(step, wanted)
        say(f"{step.title}: finished in {_duration(time.monotonic() - started)}")
        for other, had in covered:
            if all(Path(path).exists() for path in other.outputs):
                _mark(other, had)
                say(f"{other.title}: finished along with it")
    return 0


def _mark(step: Step, wanted: str) -> None:
    """Note that a step is done."""
    content: dict[str, Any] = {"fingerprint": wanted, "finished": time.strftime("%Y-%m-%d %H:%M:%S")}
    if step.makes:
        content = read_marker(step.marker) | content
    else:
        content.update({Path(path).name: file_digest(Path(path)) for path in step.outputs})
    write_marker(step.marker, content)


def is_quiet() -> bool:
    """Whether warnings and errors are all to be said (``run.sh --quiet true``)."""
    return os.environ.get(QUIET) == "true"


def say(text: str) -> None:
    if not is_quiet():
        print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def _lock_of(step: Step) -> Path:
    return step.lock or step.marker.with_name(step.marker.name + ".lock")


@contextlib.contextmanager
def _lock(path: Path, step: Step) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Left behind on purpose: removing a lock file lets two processes lock two files of one name.
    with open(path, "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{step.title}: another run is working on it, waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _execute(step: Step, locks: Sequence[int]) -> int:
    with contextlib.ExitStack() as stack:
        output = None
        if step.log:
            step.log.parent.mkdir(parents=True, exist_ok=True)
            output = stack.enter_context(open(step.log, "ab"))
            output.write(f"# {time.strftime('%Y-%m-%d %H:%M:%S')} {shlex.join(step.command)}\n".encode())
            output.flush()
        environment = dict(os.environ)
        if step.log:
            environment.pop(QUIET, None)  # logs tell all
        elif is_quiet():
            output = stack.enter_context(open(os.devnull, "ab"))  # warnings and errors go to stderr
        watched = step.follow or step.log
        if watched and step.echo and not is_quiet():
            stack.enter_context(_echoing(watched, re.compile(step.echo)))
        process: subprocess.Popen[bytes] | None = None
        signals: list[int] = []

        def forward(number: int, _frame: object) -> None:
            signals.append(number)
            if process is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

        # Before the command starts: a signal that comes right after must not end us and leave it alone.
        for number in TO_END:
            stack.callback(signal.signal, number, signal.signal(number, forward))
        process = subprocess.Popen(
            list(step.command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if step.log else None,
            env=environment,
            pass_fds=locks,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        for caught in list(signals):
            forward(caught, None)
        code = process.wait()
        # A command may put the end that was asked of it into words of its own; it was no failure.
        return 128 + signals[0] if signals and 0 < code <= 128 else code


@contextlib.contextmanager
def _echoing(path: Path, pattern: re.Pattern[str]) -> Iterator[None]:
    """Show the lines that match as they are appended to a file, while the body runs."""
    offset = path.stat().st_size if path.exists() else 0
    over = threading.Event()

    def follow() -> None:
        nonlocal offset
        rest = b""
        last = False
        while not last:
            last = over.wait(0.5)
            try:
                with open(path, "rb") as file:
                    # A backend may start the file anew.
                    if file.seek(0, os.SEEK_END) < offset:
                        offset, rest = 0, b""
                    file.seek(offset)
                    new = file.read()
            except OSError:
                continue
            offset += len(new)
            *lines, rest = (rest + new).split(b"\n")
            for line in lines:
                text = line.decode("utf-8", "replace")
                if found := pattern.search(text):
                    parts = [part for part in found.groups() if part] or [text[found.start() :].strip()]
                    print("    " + "  ".join(parts), flush=True)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


def _check_outputs(step: Step) -> int:
    if step.makes:
        missing = [] if made.tables(step.marker) else [step.makes]
    else:
        missing = [path for path in step.outputs if not Path(path).exists()]
    for path in missing:
        print(f"error: {step.title} ended well but left no {path}", file=sys.stderr)
    return 1 if missing else 0


def _explain(step: Step, code: int) -> None:
    reason = f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
    print(f"error: {step.title} failed ({reason})", file=sys.stderr)
    for path in dict.fromkeys((step.log, step.follow)):
        if path and path.exists():
            lines = path.read_bytes()[-20000:].decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
            print("\n".join([f"--- the end of {path}", *lines, "---"]), file=sys.stderr)
    print(f"the command was: {shlex.join(step.command)}", file=sys.stderr)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
