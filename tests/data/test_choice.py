from __future__ import annotations

import pytest

from tests.data.conftest import MakeSet
from xlsrt.data.choice import choose, choose_speakers
from xlsrt.errors import UserError

UTTS = {f"s{i // 5}-{i:02d}": f"word {i}" for i in range(20)}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("first", ["s0-00", "s0-01", "s0-02"]),
        ("last", ["s3-17", "s3-18", "s3-19"]),
        ("spread", ["s0-00", "s1-06", "s2-13"]),
        ("shortest", ["s0-00", "s0-01", "s3-19"]),
        ("speakers", ["s0-00", "s0-01", "s0-02", "s0-03", "s0-04"]),
    ],
)
def test_choose(make_set: MakeSet, how: str, expected: list[str]) -> None:
    path = make_set(utts=UTTS, samples=800)
    lengths = {utt: 1 if utt == "s3-19" else 100 for utt in UTTS}
    (path / "utt2num_samples").write_text("".join(f"{utt} {n}\n" for utt, n in lengths.items()))
    assert sorted(choose(path, count=3, how=how)) == expected


def test_per_speaker_and_wrong_choices(make_set: MakeSet, caplog) -> None:
    path = make_set(utts=UTTS, samples=800)
    assert sorted(choose(path, count=2, how="per-spk")) == [
        f"s{s}-{5 * s + i:02d}" for s in range(4) for i in (0, 1)
    ]
    assert len(choose(path, count=99)) == 20
    assert "has 20 utterances only, 99 were asked for" in caplog.text
    with pytest.raises(UserError, match="at least one"):
        choose(path, count=0)
    with pytest.raises(UserError, match="needs utt2num_samples"):
        choose(path, count=1, how="shortest")


def test_speakers_of_a_list(make_set: MakeSet, tmp_path, caplog) -> None:
    path = make_set(utts=UTTS, samples=800)
    (tmp_path / "list").write_text("s2 and more words\ns9\ns0\n")
    assert choose_speakers(path, tmp_path / "list") == [utt for utt in UTTS if utt[:2] in ("s0", "s2")]
    assert "1 of the speakers are not in it, such as s9" in caplog.text
