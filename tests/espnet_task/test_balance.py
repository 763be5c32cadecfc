"""Shares of languages in training."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.espnet_task.tones import settings, write_corpus, write_languages
from xlsrt.data.splits import split_of
from xlsrt.errors import UserError
from xlsrt.espnet_task.balance import LanguageBalance


def corpus() -> tuple[list[list[str]], dict[str, int], dict[str, str]]:
    """2000 utterances of one language, 300 and 60 of two others, in batches of like lengths."""
    utts = [f"{language}-{i}" for language, n in (("es", 2000), ("fr", 300), ("et", 60)) for i in range(n)]
    lengths = {utt: 16000 + 160 * (hash_of(utt) % 997) for utt in utts}
    ordered = sorted(utts, key=lambda utt: lengths[utt])
    return [ordered[i : i + 10] for i in range(0, 2360, 10)], lengths, {utt: utt[:2] for utt in utts}


def hash_of(text: str) -> int:
    return sum(ord(c) * 31**i for i, c in enumerate(text))


def test_shares_are_the_wanted_ones_and_batches_keep_their_sizes() -> None:
    batches, lengths, languages = corpus()
    balance = LanguageBalance(batches, lengths, languages, 0.5)
    raw = {name: (sum(lengths[u] for u in lengths if languages[u] == name)) for name in ("es", "fr", "et")}
    powers = {name: (value / sum(raw.values())) ** 0.5 for name, value in raw.items()}
    assert balance.wanted == pytest.approx({n: p / sum(powers.values()) for n, p in powers.items()})
    seconds: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    for epoch in range(1, 6):
        found = balance.apply(batches, epoch, seed=3)
        assert [len(batch) for batch in found] == [len(batch) for batch in batches]
        for batch, old in zip(found, batches, strict=True):
            ordered = [lengths[utt] for utt in batch]
            assert ordered == sorted(ordered, reverse=True) and ordered[0] <= max(lengths[u] for u in old)
            heard.update(batch)
            for utt in batch:
                seconds[languages[utt]] += lengths[utt]
    total = sum(seconds.values())
    assert {n: s / total for n, s in seconds.items()} == pytest.approx(balance.wanted, abs=0.03)
    # All of the small languages is heard in every epoch, and the large one comes round.
    assert min(heard[utt] for utt in lengths if languages[utt] != "es") >= 5
    assert sum(heard[utt] == 0 for utt in lengths) < 40


def test_parts_give_the_whole_its_shares() -> None:
    batches, lengths, languages = corpus()
    whole = LanguageBalance(batches, lengths, languages, 0.5)
    seconds: Counter[str] = Counter()
    for part in range(2):
        mine = [[utt for utt in batch if split_of(utt, 2) == part] for batch in batches]
        balance = LanguageBalance(mine, lengths, languages, 0.5)
        for epoch in range(1, 6):
            for utt in (utt for batch in balance.apply(mine, epoch, seed=3) for utt in batch):
                seconds[languages[utt]] += lengths[utt]
    total = sum(seconds.values())
    assert {n: s / total for n, s in seconds.items()} == pytest.approx(whole.wanted, abs=0.03)


def test_equal_shares_same_seed_same_batches_other_epoch_others() -> None:
    batches, lengths, languages = corpus()
    balance = LanguageBalance(batches, lengths, languages, 0.0)
    assert balance.wanted == pytest.approx(dict.fromkeys(("es", "fr", "et"), 1 / 3))
    one = balance.apply(batches, 1, 0)
    again = LanguageBalance(batches, lengths, languages, 0.0).apply(batches, 1, 0)
    assert one == again != balance.apply(batches, 2, 0)
    alone = dict.fromkeys(lengths, "es")
    kept = LanguageBalance(batches, lengths, alone, 0.0).apply(batches, 1, 0)
    assert [sorted(batch) for batch in kept] == [sorted(batch) for batch in batches]


def test_wrong_power_and_missing_languages_are_named() -> None:
    batches, lengths, languages = corpus()
    with pytest.raises(UserError, match=r"--language_balance 2: between 0"):
        LanguageBalance(batches, lengths, languages, 2.0)
    del languages["et-3"]
    with pytest.raises(UserError, match="utterance 'et-3' has no language"):
        LanguageBalance(batches, lengths, languages, 0.5)


def test_training_reads_utt2lang_beside_the_dump(tmp_path: Path, caplog) -> None:
    import torch
    import yaml

    from xlsrt.bin.asr_train import main

    torch.set_num_threads(1)
    data = write_corpus(tmp_path / "corpus")
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(settings(language_balance=0.0, max_epoch=1)))
    command = ["--config", str(config), "--output_dir", str(tmp_path / "exp"), *data.options]
    with pytest.raises(UserError, match=r"train/utt2lang: no such file, so the languages cannot be balanced"):
        main(command)
    write_languages(data)
    table = data.root / "train/utt2lang"
    lines = table.read_text()
    table.write_text(lines.partition("\n")[2])
    with pytest.raises(UserError, match=r"train/utt2lang has no language for 1 utterances .* train00; redo"):
        main(command)
    table.write_text(lines)
    caplog.set_level("INFO")
    main(command)
    assert "-> 50.0%" in caplog.text and (tmp_path / "exp" / "1epoch.pth").exists()
