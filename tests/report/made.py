"""An experiment folder as stages 5 to 11 leave it, with two utterances, for tests of the report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import soundfile

from tests.recognizer.make import make_exp, noise
from xlsrt.report.scoring import score_files

HYPS = {
    "asr_small_char_sp_stage1": "s-u1 a b\ns-u2 c </script>\n",
    "asr_small_char_sp_stage5b": "s-u1 a x\ns-u2 c\n",
}


def make_expdir(tmp_path: Path) -> Path:
    """Two models, each with one decoding, curves and recorded noise."""
    from torch.utils.tensorboard import SummaryWriter

    data = tmp_path / "dump" / "test"
    data.mkdir(parents=True)
    (data / "text").write_text("s-u1 a b\ns-u2 c </script>\n")
    (data / "utt2spk").write_text("s-u1 s\ns-u2 s\n")
    (data / "utt2lang").write_text("s-u1 en\ns-u2 et\n")
    (data / "word_times.ctm").write_text("s-u1 1 0.05 0.20 a\ns-u1 1 0.30 0.15 b\ns-u2 1 0.1 0.1 c\n")
    (data / "wav.scp").write_text("".join(f"s-{u} {data / u}.wav\n" for u in ("u1", "u2")))
    for name, seconds in (("u1", 2.6), ("u2", 0.5)):
        soundfile.write(data / f"{name}.wav", noise(seconds).numpy(), 16000)
    contexts = [
        {"chunk_ms": None, "left_ms": "all", "sink_frames": 0},
        {"chunk_ms": 640, "left_ms": 640, "sink_frames": 16},
    ]
    for (model, hyp), context in zip(HYPS.items(), contexts, strict=True):
        make_exp(tmp_path / "exp" / model)
        out = tmp_path / "exp" / model / "decode_streaming_640ms_beam4_valid.ter.ave" / "test"
        out.mkdir(parents=True)
        (out / "text").write_text(hyp)
        last = hyp.splitlines()[1].split()[1:]
        times = [f"s-u2 1 {0.1 + 0.1 * n:.2f} 0.10 {word} 0.9\n" for n, word in enumerate(last)]
        (out / "words.ctm").write_text("s-u1 1 0.10 0.20 a 0.9\ns-u1 1 0.40 0.10 b 0.8\n" + "".join(times))
        (out / "word_stable").write_text(f"s-u1 0.96 1.0\ns-u2 {' '.join(['0.5'] * len(last))}\n")
        facts = {"context": context, "data_dir": str(data), "packet_ms": 320.0, "real_time_factor": 0.01}
        (out / "decoding.json").write_text(json.dumps(facts))
        score_files(data / "text", out / "text", out)
        with SummaryWriter(str(tmp_path / "exp" / model / "tensorboard" / "valid")) as writer:
            for step in (10, 20):
                writer.add_scalar("ter", 1 / step, step)
    return tmp_path / "exp"


def browser(page: str) -> dict:
    """What a page's error browser shows."""
    match = re.search(r'<script type="application/json" id="errors">(.*?)</script>', page, re.DOTALL)
    assert match
    return json.loads(match[1])
