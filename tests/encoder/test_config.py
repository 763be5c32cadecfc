"""The config: presets, types as YAML gives them, refusals."""

from __future__ import annotations

import pytest
import torch

from xlsrt import XlsrConfig, XlsrEncoder
from xlsrt.encoder.config import PRESETS
from xlsrt.errors import UserError

SIZES = {  # parameters in millions, as the papers and model cards say (wav2vec 2.0 without quantiser)
    "xlsr_53": 315.4,
    "xls_r_300m": 315.4,
    "xls_r_1b": 962.5,
    "xls_r_2b": 2159.3,
    "mms_300m": 315.4,
    "mms_1b": 962.5,
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_round_trip(name: str) -> None:
    config = XlsrConfig.preset(name)
    assert XlsrConfig.from_dict(config.to_dict()) == config
    assert XlsrConfig.from_dict({"preset": name}) == config
    assert config.hop == 320 and config.window == 400


@pytest.mark.parametrize("name", SIZES)
def test_sizes_of_the_family(name: str) -> None:
    with torch.device("meta"):
        encoder = XlsrEncoder(XlsrConfig.preset(name))
    assert round(sum(p.numel() for p in encoder.parameters()) / 1e6, 1) == SIZES[name]


def test_overrides_and_yaml_types() -> None:
    config = XlsrConfig.from_dict(
        {"preset": "tiny", "conv_dim": [32] * 7, "layer_norm_eps": "1e-6", "layer_drop": 0}
    )
    assert config.conv_dim == (32,) * 7 and config.layer_norm_eps == 1e-6 and config.layer_drop == 0.0
    assert config.replace(hidden_size=192).hidden_size == 192
    assert config.replace(max_stream_seconds="inf").max_stream_seconds == float("inf")
    assert config.replace(freeze_feature_extractor=True).freeze_feature_extractor is True


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"preset": "huge"}, "unknown preset 'huge'; known: xlsr_53"),
        ({"preset": ["tiny"]}, r"encoder.preset is \['tiny'\]; it must be text"),
        ({"hidden": 3}, r"encoder: unknown key hidden \(did you mean hidden_size\?\); known: conv_dim"),
        ({"hidden_size": 100}, "multiple of num_heads"),
        ({"hidden_size": "big"}, "encoder.hidden_size is 'big'; it must be a whole number"),
        ({"num_layers": 0}, "num_layers must be at least 1"),
        ({"num_layers": True}, "num_layers is True; it must be a whole number"),
        ({"conv_bias": 1}, "conv_bias is 1; it must be true or false"),
        (
            {"freeze_feature_extractor": "yes"},
            "freeze_feature_extractor is 'yes'; it must be true",
        ),
        ({"hidden_dropout": 1.0}, "hidden_dropout"),
        ({"mask_time_prob": -0.1}, "mask_time_prob"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm"),
        ({"input_norm": "global"}, "input_norm must be one of utterance, causal, none"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 1]}, "hop of 160"),
        ({"conv_kernel": [10, 3, 3, 3, 3, 2]}, "one entry per layer"),
        ({"conv_dim": [32, "x"]}, "conv_dim is .*; it must be a list of whole numbers"),
        ({"conv_kernel": None}, "conv_kernel is None; it must be a list of whole numbers"),
        ({"max_stream_seconds": 0}, "max_stream_seconds"),
        ({"max_stream_seconds": float("nan")}, "max_stream_seconds is nan; it must be a number"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is nan; it must be a finite number"),
        ({"causal_prior_variance": float("inf")}, "causal_prior_variance is inf; it must be a finite number"),
        ({"causal_prior_samples": 0, "input_norm_eps": 0}, "prior"),
    ],
)
def test_bad_configs_are_refused_by_name(fields: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        XlsrConfig.from_dict(fields)
    if "preset" not in fields:
        with pytest.raises(UserError, match=says):
            XlsrConfig.preset("xlsr_53", **fields)


def test_num_frames() -> None:
    config = XlsrConfig.preset("tiny")
    for samples, frames in ((0, 0), (399, 0), (400, 1), (719, 1), (720, 2), (16000, 49)):
        assert config.num_frames(samples) == frames
        assert config.num_frames(torch.tensor([samples])).tolist() == [frames]


def test_what_is_no_config_says_how_to_get_one() -> None:
    for name in (["tiny"], None, {"preset": "tiny"}):
        with pytest.raises(UserError, match=r"unknown preset .*known: xlsr_53"):
            XlsrConfig.preset(name)  # type: ignore[arg-type]
    for config in ("tiny", None, {"preset": "tiny"}):
        with pytest.raises(
            UserError, match=r"must be an XlsrConfig, not .*XlsrConfig.preset\(name\) makes one"
        ):
            XlsrEncoder(config)  # type: ignore[arg-type]
