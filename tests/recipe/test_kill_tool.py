"""What tests/tools/kill_at_random.py looks for, it finds."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.tools.kill_at_random import damage, differences


def make(folder: Path, weight: float = 1.0) -> Path:
    folder.mkdir()
    torch.save({"weight": torch.full((100,), weight)}, folder / "latest.pth")
    (folder / "score.json").write_text('{"wer": 1}', encoding="utf-8")
    (folder / "wav.scp").write_text(f"a {folder}/a.flac\n", encoding="utf-8")
    return folder


def test_whole_and_equal_runs_are_found_so(tmp_path: Path) -> None:
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    (one / ".latest.pth.1.tmp").write_bytes(b"half")
    journal = one / "dump" / "raw" / "dev" / ".done"
    journal.parent.mkdir(parents=True)
    journal.write_text("\nfba590a4 16000 1 59645 0 1 .\n98fd5e06 160", encoding="utf-8")
    assert list(damage(one)) == []
    assert list(differences(one, other)) == []


def test_damage_and_differences_are_named(tmp_path: Path) -> None:
    one, other = make(tmp_path / "one"), make(tmp_path / "other", weight=1.0001)
    assert list(differences(one, other)) == ["latest.pth has other weights"]
    (one / "score.json").unlink()
    assert "score.json differs" in list(differences(one, other))
    (one / "latest.pth").write_bytes((one / "latest.pth").read_bytes()[:300])
    (one / ".done").write_text('{"fingerprint": ', encoding="utf-8")
    assert [line.split(":")[0] for line in damage(one)] == [f"{one}/.done", f"{one}/latest.pth"]
