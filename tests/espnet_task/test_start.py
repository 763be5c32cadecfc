"""What a training starts from: options, data, the model of an earlier stage, a pretrained encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.espnet_task.tones import Corpus, Train, settings, weights, write_corpus
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.espnet_task.settings import check_settings

ONE = {"max_epoch": 1, "num_iters_per_epoch": 1}
SAMPLED = {"config": {"preset": "tiny"}, "train_context": {"chunk_frames": [8], "left": [0]}}
STILL = {"optim": "sgd", "optim_conf": {"lr": 1e-12}, "scheduler": None}


def test_init_from_takes_every_weight_and_no_counter(train: Train) -> None:
    first = train("stage1", max_epoch=1)
    second = train("stage2", "--init_from", str(first / "valid.ter.best.pth"), **ONE, **STILL)
    ours, theirs = weights(second / "latest.pth"), weights(first / "valid.ter.best.pth")
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in theirs)
    state = torch.load(second / "checkpoint.pth", weights_only=True)["training_state"]
    assert state == {"num_updates": 1, "batches_seen": 1}


def test_init_from_another_architecture_lists_what_does_not_fit(train: Train) -> None:
    first = train("stage1", **ONE)
    with pytest.raises(UserError, match=r"of another shape: head\.joint.*16.*32") as raised:
        train("stage2", "--init_from", str(first / "latest.pth"), joint_net_conf={"joint_size": 32}, **ONE)
    assert "latest.pth" in str(raised.value)
    with pytest.raises(UserError, match=r"missing: head\.ctc"):
        train("none", model_conf={"ctc_weight": 0.0}, **ONE)
        train("stage3", "--init_from", str(first.parent / "none" / "latest.pth"), **ONE)
    broken = weights(first / "latest.pth")
    next(iter(broken.values())).flatten()[0] = float("nan")
    torch.save(broken, first / "broken.pth")
    with pytest.raises(UserError, match=r"broken\.pth \(init_from\): NaN or infinite values in encoder"):
        train("stage4", "--init_from", str(first / "broken.pth"), **ONE)
    (first / "broken.pth").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"broken\.pth .*damaged.*run the stage that it comes from again"):
        train("stage4", "--init_from", str(first / "broken.pth"), **ONE)


def test_init_from_another_vocabulary_or_nothing_says_so(train: Train) -> None:
    first = train("stage1", **ONE)
    config = yaml.safe_load((first / "config.yaml").read_text())
    config["token_list"][2:4] = config["token_list"][3:1:-1]
    (first / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"another token model.*token 2"):
        train("stage2", "--init_from", str(first / "latest.pth"), **ONE)
    with pytest.raises(UserError, match="run the stage"):
        train("stage2", "--init_from", str(first / "absent.pth"), **ONE)
    (first / "config.yaml").write_text("token_list: [")
    with pytest.raises(UserError, match=r"config\.yaml: cannot be read as YAML"):
        train("stage2", "--init_from", str(first / "latest.pth"), **ONE)


def test_a_resumed_training_does_not_need_its_origin(train: Train) -> None:
    first = train("stage1", **ONE)
    origin = first / "latest.pth"
    train("stage2", "--init_from", str(origin), **ONE)
    for path in [origin.resolve(), origin]:
        path.unlink(missing_ok=True)
    out = train("stage2", "--init_from", str(origin), num_iters_per_epoch=1, max_epoch=2)
    assert (out / "2epoch.pth").exists()


def test_pretrained_weights_arrive_and_their_convolutions_stay(train: Train, tmp_path: Path) -> None:
    from xlsrt.encoder.checkpoints import save_pretrained

    encoder = XlsrEncoder(XlsrConfig.preset("tiny"))
    save_pretrained(encoder, tmp_path / "export")
    conf: dict[str, Any] = {
        "pretrained": str(tmp_path / "export"),
        "config": {"layer_drop": 0.0},
        "train_context": {"chunk_ms": None},
    }
    out = train("tuned", encoder_conf=conf, max_epoch=1)
    ours = weights(out / "latest.pth")
    theirs = {f"encoder.xlsr.{name}": tensor for name, tensor in encoder.state_dict().items()}
    still = {name for name in theirs if torch.equal(ours[name], theirs[name])}
    assert {name for name in theirs if ".feature_extractor." in name} <= still
    assert "encoder.xlsr.encoder.layers.0.attention.q_proj.weight" not in still
    resolved = yaml.safe_load((out / "config.yaml").read_text())["encoder_conf"]
    assert resolved["config"]["hidden_size"] == 96 and resolved["config"]["layer_drop"] == 0.0
    assert resolved["config"]["freeze_feature_extractor"] is True
    later = train("later", "--init_from", str(out / "latest.pth"), encoder_conf=conf, max_epoch=1)
    kept = weights(later / "latest.pth")
    assert all(torch.equal(kept[name], theirs[name]) for name in theirs if ".feature_extractor." in name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoder_conf": {"config": {"preset": "tiny", "layers": 3}}}, "layers"),
        ({"encoder_conf": {"config": {"preset": "tiny"}, "contxt": {}}}, "contxt"),
        ({"encoder_conf": {}}, "preset"),
        (
            {
                "encoder_conf": {
                    "config": {"preset": "tiny"},
                    "train_context": {"chunk_frames": [8], "left": [0]},
                }
            },
            "eval_context",
        ),
        ({"model_conf": {"ctc_wait": 1}}, "ctc_wait"),
        ({"decoder_conf": {"size": 1}}, "size"),
        ({"optim_conf": {}}, "optim_conf.lr"),
        ({"optim_conf": {"lr": 1, "momentun": 1}}, "momentun"),
        ({"best_model_criterion": [["valid", "acc", "max"]]}, "valid has no acc"),
        ({"best_model_criterion": [["train", "loss_simple", "min"]]}, "train has no loss_simple"),
        (
            {"val_scheduler_criterion": ["valid", "acc"]},
            r"val_scheduler_criterion \['valid', 'acc'\]: there is no",
        ),
        ({"val_scheduler_criterion": ["ter"]}, r"val_scheduler_criterion \['ter'\]"),
        (
            {"model_conf": {"ctc_weight": 0}, "best_model_criterion": [["valid", "cer_ctc", "min"]]},
            "valid has no cer_ctc",
        ),
        ({"model_conf": {"ctc_weight": 0.3, "ctc_only_updates": "1e3"}}, "ctc_only_updates is '1e3'"),
        ({"init_param": ["some.pth"]}, "init_param would run whatever code"),
        ({"use_wandb": True, "grad_noise": True}, "use_wandb, grad_noise: of no effect"),
        ({"ddp_comm_hook": "fp16_compress_hook"}, "ddp_comm_hook: of no effect"),
        ({"scheduler_conf": {"warmup": "long"}}, r"scheduler_conf\.warmup is 'long'"),
        ({"scheduler_conf": {"warm": 0.1}}, "scheduler_conf: unknown key warm .*warmup"),
        ({"language_balance": None}, "language_balance is None; it must be a number"),
        ({"max_epoch": [3]}, r"max_epoch is \[3\]; it must be a whole number"),
        ({"frontend": "default"}, "frontend"),
        ({"encoder": "conformer"}, "conformer"),
        ({"iterator_type": "chunk"}, "iterator_type"),
    ],
)
def test_wrong_settings_are_refused_by_name(train: Train, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        train("wrong", **changes)


def test_a_schedule_is_judged_before_there_are_data() -> None:
    check_settings(settings(scheduler_conf={"warmup": "1e-1", "hold": 2}), "x.yaml")
    for wrong in ({"warmup": None}, {"warm": 0.1}, {"decay": "sudden"}):
        with pytest.raises(UserError, match=r"x\.yaml: .*scheduler_conf"):
            check_settings(settings(scheduler_conf=wrong), "x.yaml")


def test_a_misspelt_option_is_answered_with_the_right_one(train: Train) -> None:
    with pytest.raises(UserError, match=r"max_epochs.*did you mean max_epoch"):
        train("wrong", "--max_epochs", "3")


def test_missing_data_is_named_with_the_way_out(tmp_path: Path) -> None:
    from xlsrt.bin.asr_train import main

    corpus = write_corpus(tmp_path / "tones", train=3, valid=2)
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(settings(**ONE)))

    def expect(words: str) -> None:
        with pytest.raises(UserError, match=words):
            main(["--config", str(config), "--output_dir", str(tmp_path / "exp"), *corpus.options])

    shapes = corpus.root / "train" / "speech_shape"
    whole = shapes.read_text()
    shapes.write_text("")
    expect("speech_shape: no utterances")
    shapes.write_text(whole + "stranger 16000\n")
    expect("wav.scp has no speech for 1 utterances.*stranger")
    shapes.unlink()
    expect("speech_shape.*no such file")
    shapes.write_text(whole)
    (corpus.root / "valid" / "text").write_bytes(b"valid00 \xff\xfe\n")
    expect("text.*not UTF-8")
    assert not (tmp_path / "exp").exists()


def test_short_utterances_come_first(corpus: Corpus) -> None:
    from xlsrt.espnet_task.iterator import read_lengths
    from xlsrt.espnet_task.task import XlsrASRTask

    args = XlsrASRTask.get_parser().parse_args(
        [*corpus.options, "--output_dir", "x", "--curriculum_epochs", "1"]
    )
    vars(args).update(batch_bins=30000, num_workers=0, token_list=["<blank>", "<unk>", *"abcd", "<sos/eos>"])
    option = type("Single", (), {"distributed": False})()
    factory = XlsrASRTask.build_iter_factory(args, option, "train")
    lengths = read_lengths(args.train_shape_file[0])
    longest = [
        [max(lengths[key] for key in batch) for batch in factory.batches(epoch)] for epoch in (1, 2, 3)
    ]
    assert longest[0] == sorted(longest[0])
    assert sorted(longest[1]) == longest[0] and longest[1] != longest[2], "later epochs are shuffled"
    assert factory.batches(2) == factory.batches(2)
    keys = [key for key, _ in factory.build_iter(2, skip=1)]
    assert [list(key) for key in keys] == factory.batches(2)[1:]


def test_what_a_training_leaves_on_disk_is_counted_from_below(train: Train) -> None:
    least = check_settings(settings(max_epoch=2, keep_nbest_models=[2]), "x.yaml")
    out = train("out", max_epoch=2, keep_nbest_models=[2])
    written = sum(path.stat().st_size for path in out.glob("*.pth") if not path.is_symlink())
    assert 0.7 * written < least < written
    large = {"config": {}, "pretrained": "WAV2VEC2_XLSR_1B"}
    assert check_settings(settings(encoder_conf=large, max_epoch=2), "x.yaml") > 4 * 9.5e8 * 6


def test_what_is_frozen_is_judged_before_there_are_data() -> None:
    check_settings(settings(freeze_param=["encoder.xlsr.encoder.layers.0", "head"]), "x.yaml")
    with pytest.raises(
        UserError, match=r"x\.yaml: freeze_param: encoder\.layers is no part of this model; near"
    ):
        check_settings(settings(freeze_param=["head", "encoder.layers"]), "x.yaml")
    with pytest.raises(UserError, match=r"x\.yaml: freeze_param is 'head'; it must be a list"):
        check_settings(settings(freeze_param="head"), "x.yaml")
