from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xlsrt.bin import check_start
from xlsrt.errors import UserError
from xlsrt.recipe.stages import load_stages
from xlsrt.recipe.training import experiment, layered
from xlsrt.tree import overlay, write_tree

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "egs/mini/pretrained"


def copied(folder: Path) -> Path:
    shutil.copytree(SHIPPED, folder)
    return folder


def test_encoders_that_are_not_there_or_broken(words: list[str], tmp_path: Path) -> None:
    cut = copied(tmp_path / "cut") / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:100_000])
    bare = copied(tmp_path / "bare")
    (bare / "model.safetensors").unlink()
    text = tmp_path / "encoder.pt"
    text.write_text("no weights", encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    for source, message in (
        (tmp_path / "nowhere", "no such file or directory"),
        (cut.parent, "model.safetensors .* is damaged, cut off"),
        (cut, "model.safetensors .* is damaged, cut off"),
        (bare, "none of model.safetensors"),
        (empty, "has no config.json"),
        (text, "encoder.pt"),
        ("someone/encoder", "is not in the local cache"),
    ):
        with pytest.raises(UserError, match=message) as failure:
            check_start.main([*words, "--pretrained", str(source)])
        assert "--pretrained" in str(failure.value)


def test_sets_of_the_users_own_are_not_replaced(words: list[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "dev").mkdir(parents=True)
    (data / "dev/wav.scp").write_text("u1 a.wav\n")
    words += ["--data_dirs", str(data), "--skip_train", "true", "--prepares", "train", "dev"]
    with pytest.raises(UserError, match=r"data/dev is there, and stage 1 did not make it: add --corpus none"):
        check_start.main(words)
    assert (
        check_start.main([*words, "--stage", "2"]) == check_start.main([*words, "--skip_data", "true"]) == 0
    )
    (data / ".prepared").touch()
    assert check_start.main(words) == 0


def test_a_bundle_is_fetched_first(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from xlsrt.encoder.checkpoints import bundles

    def refuse(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(bundles, "_download", refuse)
    with pytest.raises(UserError, match=r"put it at .*wav2vec2_fairseq_large_xlsr53.pth"):
        check_start.main([*words, "--pretrained", "WAV2VEC2_XLSR53"])


@pytest.mark.parametrize(
    ("where", "options", "message"),
    [
        ("train_config", "model_conf: {ctc_wait: 0.3}", "model_conf: unknown key ctc_wait"),
        ("stages_config", "model_conf: {ctc_wait: 0.3}", "model_conf: unknown key ctc_wait"),
        ("last_config", "model_conf: {ctc_wait: 0.3}", "model_conf: unknown key ctc_wait"),
        ("train_config", "model_conf: {join: {utterances: 0}}", "join.utterances is 0"),
        ("train_config", "model_conf: {loss: fast}", "loss"),
        ("train_config", "decoder_conf: {contexts: 1}", "decoder_conf: unknown key contexts"),
        ("train_config", "encoder_conf: {configs: {}}", "encoder_conf: unknown key configs"),
        ("train_config", "encoder_conf: {config: {mask_time_probe: 0.1}}", "mask_time_probe"),
        ("stages_config", "encoder_conf: {config: {mask_time_probe: 0.1}}", "mask_time_probe"),
        ("train_config", "encoder_conf: {augment: {gain: 6}}", "gain"),
        ("train_config", "max_epochs: 3", "unrecognized arguments: max_epochs; did you mean max_epoch"),
        ("train_config", "best_model_criterion: [[valid, wer, min]]", "wer"),
        ("train_config", "optim: adamx", "optim is 'adamx'; it must be one of .*adamw"),
        ("train_config", "scheduler: warmup", "scheduler is 'warmup'; it must be one of .*warmupholddecay"),
        ("stages_config", "batch_type: number", "batch_type is 'number'; it must be one of .*numel"),
        ("train_config", "decoder: lsmt", "decoder is 'lsmt'; it must be one of .*lstm"),
        ("train_config", "language_balance: null", "language_balance is None; it must be a number"),
        ("train_config", "curriculum_epochs: [1]", r"curriculum_epochs is \[1\]; it must be a whole number"),
        ("train_config", "decoder_conf: 3", "decoder_conf is 3; it must be a mapping"),
        ("train_config", "encoder_conf: {augment: strong}", "encoder_conf.augment is 'strong'"),
        ("train_config", "model_conf: {join: 3}", "model_conf.join is 3; it must be a mapping"),
        ("train_config", "model_conf: {ctc_weight: much}", "model_conf.ctc_weight is 'much'"),
        ("train_config", "scheduler_conf: {hold: null}", "scheduler_conf.hold is None"),
        ("train_config", "encoder_lr_factor: 0", r"encoder_lr_factor \(0\) must be above 0"),
        ("train_config", "model_conf: {ctc_only_updates: 9, ctc_weight: 0}", "needs a CTC branch"),
        ("train_config", "optim_conf: {beta: [0.9, 0.98]}", "does not fit optimiser adamw: .*'beta'"),
        ("train_config", "optim_conf: {weight_decay: some}", "optim_conf.weight_decay is 'some'; it must"),
        ("train_config", "optim_conf: {eps: -1}", "does not fit optimiser adamw: Invalid epsilon"),
        ("train_config", "scheduler_conf: {holt: 0.1}", "scheduler_conf: unknown key holt .*hold"),
        ("train_config", "accum_grad: 0", "accum_grad is 0; it is at least 1"),
        ("stages_config", "batch_bins: -5", "batch_bins is -5; it is at least 1"),
        ("train_config", "valid_batch_size: [3]", r"valid_batch_size is \[3\]; it must be a whole number"),
        ("train_config", "num_workers: -1", "num_workers is -1; it is at least 0"),
        ("train_config", "grad_clip: -1", r"grad_clip is -1; it must be above 0, and \.inf clips nothing"),
        ("train_config", "keep_nbest_models: [3, 0]", r"keep_nbest_models is \[3, 0\]; a number of models"),
        ("train_config", "train_dtype: float16", "train_dtype is float16; weights in half precision"),
    ],
)
def test_settings_that_no_training_knows(
    words, tmp_path: Path, where: str, options: str, message: str
) -> None:
    file = tmp_path / "more.yaml"
    stage = f"stages: {{2: {{variants: {{2b: {{options: {{{options}}}}}}}}}}}"
    file.write_text(stage if where == "stages_config" else options, encoding="utf-8")
    files = [str(ROOT / "conf/stages.yaml"), str(file)] if where == "stages_config" else [str(file)]
    base = ["--train_config", str(ROOT / "conf/train_small.yaml")] if where == "train_config" else []
    extra = [*base, *files] if where == "train_config" else [f"--{where}", *files]
    for pretrained in ([], ["--pretrained", "none"]):
        with pytest.raises(UserError, match=message) as failure:
            check_start.main([*words, *extra, *pretrained])
        assert f"training stage {'2b' if where == 'stages_config' else '1'} (" in str(failure.value)
    assert check_start.main([*words, *extra, "--stop_stage", "4"]) == 0


@pytest.fixture
def finished(words: list[str]) -> list[Path]:
    """The markers of all trainings of the default path, done as the options say."""
    table, config = load_stages(words[1]), words[5]
    markers = []
    for variant in table.select("default"):
        folder = experiment(words[3], variant.name)
        folder.mkdir(parents=True)
        trained = overlay(layered(table, variant, [config]), {"token_type": "bpe", "init_from": "x"})
        write_tree(folder / "train.yaml", trained, "")
        markers.append(folder / ".done")
        markers[-1].touch()
    return markers


def test_finished_trainings_are_not_looked_at_again(words, finished, tmp_path: Path, monkeypatch) -> None:
    asked: list[str] = []

    def looked(_: object, where: str) -> int:
        asked.append(where)
        return 0

    monkeypatch.setattr("xlsrt.espnet_task.settings.check_settings", looked)
    assert check_start.main(words) == 0 and not asked
    other = tmp_path / "other.yaml"
    other.write_text("grad_clip: 7\n", encoding="utf-8")
    assert check_start.main([*words, "--last_config", str(other)]) == 0 and len(asked) == 5
    asked.clear()
    finished[2].unlink()
    assert check_start.main(words) == 0 and len(asked) == 1 and "training stage 3b" in asked[0]


def test_nothing_to_train_is_told_without_torch(words: list[str], finished: list[Path]) -> None:
    code = (
        "import sys; from xlsrt.bin import check_start\n"
        f"check_start.main({[*words, '--pretrained', 'egs/mini/pretrained']!r})\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_the_files_name_counts_too(words: list[str], tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text("encoder_conf: {pretrained: lost}\n", encoding="utf-8")
    words += [str(config)]
    with pytest.raises(UserError, match="lost: no such file"):
        check_start.main(words)
    adapting = tmp_path / "adapt.yaml"
    adapting.write_text("encoder_conf: {pretrained: gone}\n", encoding="utf-8")
    with pytest.raises(UserError, match="gone: no such file"):
        check_start.main([*words, "--adapt", "true", "--adapt_config", str(adapting)])
    assert check_start.main([*words, "--pretrained", "none"]) == 0
    # Where nothing starts from it, nobody is kept from working.
    assert check_start.main([*words, "--stop_stage", "4"]) == 0
    assert check_start.main([*words, "--skip_train", "true"]) == 0
    for later in (["--stage", "6"], ["--variants", "2b"]):
        with pytest.raises(UserError, match=r"2b .* training stage 1 has not been trained: run"):
            check_start.main([*words, *later])
    done = tmp_path / "exp/asr_stage1/.done"
    done.parent.mkdir(parents=True)
    done.touch()
    for later in ([], ["--stage", "6"], ["--variants", "2b"]):
        assert check_start.main([*words, *later]) == 0
    # A finished training would begin anew from another encoder: that one must be there.
    (done.parent / "train.yaml").write_text("encoder_conf: {pretrained: lost}\n", encoding="utf-8")
    assert check_start.main(words) == 0
    with pytest.raises(UserError, match="nowhere: no such file"):
        check_start.main([*words, "--pretrained", "nowhere"])


def test_text_for_the_ngram_model(words: list[str], tmp_path: Path) -> None:
    words += ["--stop_stage", "4", "--data_dirs", str(tmp_path / "data"), "--lm_train_text"]
    made, other = tmp_path / "data/more/text", tmp_path / "other"
    assert check_start.main([*words, str(made)]) == 0, "stage 1 may make it"
    with pytest.raises(UserError, match=r"--lm_train_text .*other: there is no such file"):
        check_start.main([*words, f"{made} {other}"])
    with pytest.raises(UserError, match=r"--lm_train_text .*text: there is no such file"):
        check_start.main([*words, str(made), "--stage", "2"])
    assert check_start.main([*words, str(other), "--stage", "4"]) == 0, "it is not read any more"
    other.write_text("a b\n", encoding="utf-8")
    assert check_start.main([*words, str(other)]) == 0


def test_decoding_with_an_ngram_model_that_is_not_wanted(words: list[str], tmp_path: Path) -> None:
    config = tmp_path / "decode_ngram.yaml"
    config.write_text("context: full\nsearch: {type: beam, lm: ngram}\n", encoding="utf-8")
    words += ["--decode_configs", str(config), "--config_folders", str(tmp_path)]
    assert check_start.main([*words, "--use_ngram", "auto"]) == 0
    with pytest.raises(UserError, match=r"decode_ngram.yaml: `lm: ngram` needs .*--use_ngram true"):
        check_start.main([*words, "--use_ngram", "false"])
    assert check_start.main([*words, "--use_ngram", "false", "--stop_stage", "9"]) == 0


def test_mistakes_in_decoding_configurations(words: list[str], tmp_path: Path) -> None:
    config = tmp_path / "decode_x.yaml"
    config.write_text("context: full\nmod: streaming\n", encoding="utf-8")
    words += ["--decode_configs", str(config)]
    with pytest.raises(UserError, match=r"decode_x.yaml: unknown key mod"):
        check_start.main(words)
    assert check_start.main([*words, "--skip_eval", "true"]) == 0
    with pytest.raises(UserError, match=r"there is no decode_y.yaml"):
        check_start.main([*words[:-1], "decode_y.yaml"])


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ("{chunk_frames: {min: 64, max: 16, multiple: 8}, left: [64], sink_frames: [0]}", "multiple of 8"),
        ("{chunk_frames: 0, left_frames: 0, sink_frames: 0}", "chunk"),
    ],
)
def test_contexts_of_later_stages(words: list[str], tmp_path: Path, context: str, message: str) -> None:
    more = tmp_path / "more.yaml"
    evaluated = "{chunk_frames: 32, left_frames: 64, sink_frames: 0}"
    row = f"{{train: {context}, eval: {evaluated}}}"
    more.write_text(f"stages:\n  4:\n    variants:\n      4: {row}\n", encoding="utf-8")
    asked = [*words[:2], str(more), *words[2:]]
    with pytest.raises(UserError, match=f"training stage 4 .*{message}"):
        check_start.main(asked)


def test_a_curriculum_needs_the_whole_training_set(words: list[str], tmp_path: Path) -> None:
    """Said before the data are prepared, which takes hours for corpora that are read in parts."""
    curriculum = tmp_path / "train.yaml"
    curriculum.write_text("curriculum_epochs: 1\n", encoding="utf-8")
    words += [str(curriculum), "--pretrained", "none"]
    assert check_start.main([*words, "--num_splits_asr", "1"]) == 0
    with pytest.raises(
        UserError, match=r"curriculum_epochs looks at the whole training set.*--num_splits_asr 1"
    ):
        check_start.main([*words, "--num_splits_asr", "4"])
    with pytest.raises(UserError, match="--num_splits_asr 0: write a number from 1 on"):
        check_start.main([*words, "--num_splits_asr", "0"])


def test_a_balance_needs_languages_before_audio_is_formatted(words: list[str], tmp_path: Path) -> None:
    balanced = tmp_path / "balanced.yaml"
    balanced.write_text("language_balance: 0.5\n", encoding="utf-8")
    (tmp_path / "train").mkdir()
    (tmp_path / "train/wav.scp").touch()
    words += [str(balanced), "--pretrained", "none", "--num_splits_asr", "4", "--train_set", "train"]
    words += ["--data_dirs", str(tmp_path)]
    with pytest.raises(UserError, match=r"train/utt2lang: no such file, so the languages cannot be balanced"):
        check_start.main(words)
    assert check_start.main([*words, "--skip_data", "true"]) == 0


def test_training_from_scratch_is_a_layer_that_starts(words: list[str], tmp_path: Path) -> None:
    no_ctc = tmp_path / "no_ctc.yaml"
    no_ctc.write_text("model_conf: {ctc_weight: 0}", encoding="utf-8")
    layers = [ROOT / "conf/train_small.yaml", ROOT / "conf/from_scratch.yaml"]
    words = [*words[:-1], *map(str, layers)]
    assert check_start.main([*words, "--pretrained", "none"]) == 0
    with pytest.raises(UserError, match="ctc_only_updates"):
        check_start.main([*words, str(no_ctc)])
