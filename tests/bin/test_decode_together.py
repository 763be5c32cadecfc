"""Several searches and sets in one run of `asr_decode`: what each would be alone; and shards on a queue."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from torch import Tensor

from tests.bin.decoding import SECONDS, decode, same
from xlsrt import XlsrEncoder
from xlsrt.bin.asr_decode import main
from xlsrt.decoding import runner
from xlsrt.decoding.outputs import FILES
from xlsrt.errors import UserError


@pytest.mark.parametrize("mode", ["masked", "streaming"])
def test_searches_share_the_encoder(setup: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context = "context: {chunk_ms: 320, left_ms: 320, sink_frames: 4}\npacket_ms: 100\n"
    searches = {
        "greedy": "search: {type: greedy, max_symbols: 2}",
        "beam": "search: {type: beam, beam_size: 3, max_symbols: 2}\nnbest: 2",
        "penalty": "search: {type: greedy, max_symbols: 2, blank_penalty: 3.0}",
    }
    for name, search in searches.items():
        (setup / f"{name}.yaml").write_text(context + search + "\n")
    alone = {
        name: decode(setup, f"alone_{name}", "--decode_config", str(setup / f"{name}.yaml"), "--mode", mode)
        for name in searches
    }
    assert len({files["text"] for files in alone.values()}) > 1
    encoded: list[int] = []

    def count(method: str) -> None:
        own = getattr(XlsrEncoder, method)

        def counted(self: XlsrEncoder, wav: Tensor, *rest: object) -> object:
            encoded.append(len(wav))
            return own(self, wav, *rest)

        monkeypatch.setattr(XlsrEncoder, method, counted)

    count("forward" if mode == "masked" else "step")
    along = [word for name in ("beam", "penalty") for word in ("--also", f"{name}.yaml", f"along_{name}")]
    monkeypatch.chdir(setup)
    options = ["--decode_config", "greedy.yaml", "--mode", mode]
    together = decode(setup, "along_greedy", *options, *along)
    once = len(encoded)
    assert same(together, alone["greedy"]) and once > 0
    assert (setup / "along_beam/text").exists(), "written along with it"
    for name in ("beam", "penalty"):
        options = ["--decode_config", f"{name}.yaml", "--mode", mode]
        assert same(decode(setup, f"along_{name}", *options), alone[name])
        facts = json.loads((setup / f"along_{name}/decoding.json").read_text())
        assert facts["utterances"] == len(SECONDS) and facts["real_time_factor"] > 0
    stem = "logdir/output.1/2best_recog/text"
    assert (setup / "along_beam" / stem).read_text() == (setup / "alone_beam" / stem).read_text()
    assert len(encoded) == once, "nothing was left to encode"
    # What one of them has already is not written twice.
    for path in (setup / "along_penalty/logdir").glob("output.*/results.*"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    (setup / "along_penalty/logdir/merged").unlink()
    shutil.rmtree(setup / "along_greedy")
    decode(setup, "along_greedy", "--decode_config", "greedy.yaml", "--mode", mode, *along)
    (path,) = (setup / "along_penalty/logdir").glob("output.*/results.*")
    assert len(path.read_text().splitlines()) == len(SECONDS)


@pytest.mark.parametrize(
    "change", ["mode: streaming", "context: {chunk_ms: 640}", "endpoint: {trailing_silence: 0.5}"]
)
def test_other_work_of_the_encoder_is_not_shared(setup: Path, change: str) -> None:
    own = dict(line.split(": ", 1) for line in (setup / "decode.yaml").read_text().splitlines())
    key, value = change.split(": ", 1)
    (setup / "other.yaml").write_text("".join(f"{k}: {v}\n" for k, v in {**own, key: value}.items()))
    with pytest.raises(UserError, match=r"--also .*other_out: its context, mode and packet_ms must be those"):
        decode(setup, "out", "--also", str(setup / "other.yaml"), str(setup / "other_out"))


def test_searches_that_share_the_encoder_have_folders_of_their_own(setup: Path) -> None:
    along = ["--also", str(setup / "decode.yaml"), str(setup / "twice")]
    for options in (["out", "--also", along[1], str(setup / "out")], ["out", *along, *along]):
        with pytest.raises(UserError, match=r"two decodings would write to .*: name a folder for each"):
            decode(setup, *options)


def test_sets_together_are_what_each_is_alone(setup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another search beside; the model is loaded once."""
    few, loaded = setup / "few", []
    few.mkdir()
    for name in ("wav.scp", "text", "utt2spk", "utt2num_samples"):
        if (setup / "data" / name).is_file():
            lines = (setup / "data" / name).read_text().splitlines(keepends=True)
            (few / name).write_text("".join(lines[:2]))
    (setup / "beam.yaml").write_text((setup / "decode.yaml").read_text().replace("greedy", "beam"))
    real = runner._decoder
    monkeypatch.setattr(runner, "_decoder", lambda *given: loaded.append(1) or real(*given))
    both = ["--exp_dir", str(setup / "exp"), "--decode_config", str(setup / "decode.yaml")]
    both += ["--data_dir", str(setup / "data"), str(few), "--output_dir", str(setup / "a"), str(setup / "b")]
    main([*both, "--also", str(setup / "beam.yaml"), str(setup / "beam_a"), str(setup / "beam_b")])
    assert loaded == [1]
    for data, folder in ((setup / "data", "a"), (few, "b")):
        main([*both[:4], "--data_dir", str(data), "--output_dir", str(setup / f"alone_{folder}")])
        beam = [
            *both[:2],
            "--decode_config",
            str(setup / "beam.yaml"),
            "--data_dir",
            str(data),
            "--output_dir",
        ]
        main([*beam, str(setup / f"beam_{folder}")])
        main([*beam, str(setup / f"alone_beam_{folder}")])
        for one in (folder, f"beam_{folder}"):
            for name in FILES:
                assert (setup / one / name).read_text() == (setup / f"alone_{one}" / name).read_text(), name
    assert len(loaded) == 5, "the searches beside were done"
    (setup / "a/text").unlink()
    main([*both, "--merge"])
    assert (setup / "a/text").read_text() == (setup / "alone_a/text").read_text()
    broken = setup / "data" / "u3.flac"
    broken.write_bytes(broken.read_bytes()[:-2000])
    with pytest.raises(UserError, match="u3"):
        main([*both[:5], str(few), str(setup / "data"), "--output_dir", str(setup / "c"), str(setup / "d")])
    assert (setup / "c/text").exists() and not (setup / "d/text").exists(), "what is whole is kept"
    with pytest.raises(UserError, match="--output_dir: 1 folders for 2 data directories"):
        main(both[:-1])
    with pytest.raises(UserError, match="--also: 1 folders for 2 data directories"):
        main([*both, "--also", str(setup / "beam.yaml"), str(setup / "beam_a")])
    with pytest.raises(UserError, match="two decodings would write to"):
        main([*both[:-1], str(setup / "a")])


def test_on_a_queue_an_end_is_no_failure_and_what_is_whole_is_written(setup: Path) -> None:
    backend = setup / "queue.pl"
    backend.write_text(f"#!/bin/sh\ntouch {setup}/submitted\nexit $(cat {setup}/code)\n")
    backend.chmod(0o755)
    for code, error in (("143", SystemExit), ("1", UserError)):
        (setup / "code").write_text(code)
        with pytest.raises(error):
            decode(setup, "out", "--cmd", str(backend))
    files = decode(setup, "out")
    (setup / "out" / "text").unlink()
    (setup / "submitted").unlink()
    assert decode(setup, "out", "--cmd", str(backend)) == files
    assert not (setup / "submitted").exists(), "nothing was left to decode"
