from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.context import AttentionContext
from xlsrt.decoding.config import DecodeConfig
from xlsrt.errors import UserError
from xlsrt.recognizer import EndpointRules


def test_defaults_and_units() -> None:
    config = DecodeConfig.from_dict({"context": {"chunk_ms": 640, "left_ms": 1280, "sink_frames": 4}})
    assert config.context == AttentionContext(32, 64, 4)
    assert (config.mode, config.search, config.stages) == ("masked", {"type": "greedy"}, None)
    config = DecodeConfig.from_dict({"mode": "streaming", "packet_ms": 62.5, "stages": [1, "5b"]})
    assert config.context.is_full and config.packet_samples == 1000
    assert config.stages == ("1", "5b")
    assert config.endpoint is None
    rules = DecodeConfig.from_dict({"endpoint": {"trailing_silence": 0.5}}).endpoint
    assert rules == EndpointRules(trailing_silence=0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"chunk": 1}, "unknown key chunk.*; known: context, search"),
        ({"mode": "online"}, "mode 'online' is not one of masked, streaming"),
        ({"packet_ms": 0}, "packet_ms 0 is not a positive"),
        ({"packet_ms": "fast"}, "packet_ms 'fast'"),
        ({"search": 3}, "x.yaml: search is 3; it must be a mapping such as greedy or beam, or"),
        ({"search": "bean"}, "x.yaml: search type 'bean' is unknown; known: greedy, beam"),
        ({"search": {"beam_size": 4}}, "x.yaml: search: greedy has no beam_size; .* write type: beam too"),
        ({"search": {"type": "beam", "lm": 3}}, r"x.yaml: search: lm is 3, neither a file .* an ARPA file"),
        ({"search": {"type": "beam", "lm": "lm.arpa", "lm_unit": 5}}, "x.yaml: search: lm_unit is 5; choose"),
        ({"search": {"type": "bean"}}, "x.yaml: search type 'bean' is unknown"),
        (
            {"search": {"beam_sise": 4, "type": "beam"}},
            r"x.yaml: search \(type: beam\): unknown key beam_sise .*beam_size",
        ),
        (
            {"search": {"type": "beam", "beam_size": 2.5}},
            "x.yaml: search: beam_size is 2.5; it must be a whole",
        ),
        ({"search": {"type": "beam", "margin": 0}}, "margin is 0; give a number above 0"),
        ({"search": {"type": "beam", "length_norm": 1}}, "length_norm is 1; it must be true or false"),
        (
            {"search": {"type": "beam", "lm": "none.arpa"}},
            r"search: the language model none\.arpa does not exist",
        ),
        ({"search": {"type": "beam", "lm_weight": 0.1}}, "lm_weight is for lm, which is not given"),
        ({"nbest": 0}, "x.yaml: nbest 0 is not a whole number from 1 on"),
        ({"nbest": 2}, "nbest 2 needs search: {type: beam, beam_size: 2} or more; this search keeps 1"),
        ({"nbest": 5, "search": {"type": "beam"}}, "this search keeps 4"),
        (
            {"nbest": 2, "search": {"type": "beam"}, "endpoint": {"trailing_silence": 0.5}},
            "nbest is for whole utterances",
        ),
        ({"stages": "5b"}, "stages must be a list"),
        ({"endpoint": 0.5}, "endpoint must be rules such as"),
        ({"endpoint": {"silence": 0.5}}, "x.yaml: endpoint: unknown key silence"),
        ({"endpoint": {"trailing_silence": "long"}}, "x.yaml: endpoint.trailing_silence is 'long'"),
        ({"endpoint": {"min_pause": None}}, "min_pause is None"),
        ({"endpoint": {"restart_encoder": "yes"}}, "restart_encoder is 'yes'"),
        ({"endpoint": {}, "mode": "streaming"}, "x.yaml: with full attention nothing comes out"),
        ({"context": "none"}, "context must be `full` or"),
        ({"context": {"chunk_ms": 330}}, "x.yaml: .*330"),
    ],
)
def test_wrong_values_are_named(content: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DecodeConfig.from_dict(content, "x.yaml")


def test_a_search_may_be_a_word() -> None:
    assert DecodeConfig.from_dict({"search": "greedy"}).search == {"type": "greedy"}
    assert DecodeConfig.from_dict({"search": "beam", "nbest": 4}).search == {"type": "beam"}


def test_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml does not exist"):
        DecodeConfig.from_file(tmp_path / "none.yaml")
    (tmp_path / "a.yaml").write_text("context: {chunk_ms: 320\n")
    with pytest.raises(UserError, match=r"a\.yaml: cannot be read as YAML"):
        DecodeConfig.from_file(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("- 1\n")
    with pytest.raises(UserError, match="expected `key: value` lines, found a list"):
        DecodeConfig.from_file(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_text(
        "context: {chunk_ms: 320, left_ms: all, sink_frames: 0}\nmode: streaming\n"
    )
    assert DecodeConfig.from_file(tmp_path / "c.yaml").context == AttentionContext(16, None, 0)


def test_shipped_configurations() -> None:
    root = Path(__file__).resolve().parents[2]
    paths = [path for kind in ("decode", "live") for path in root.glob(f"**/conf/{kind}_*.yaml")]
    assert len(paths) > 12
    for path in paths:
        config = DecodeConfig.from_file(path)
        assert config.stages
        # Longer packets would hold complete chunks back: 640 ms came out after 960.
        assert config.mode == "masked" or config.packet_ms <= 80, path


def test_numbers_as_yaml_reads_them(tmp_path: Path) -> None:
    """5e-1 is text to YAML; a key that stands twice would count once, the last."""
    (tmp_path / "a.yaml").write_text(
        "context: {chunk_ms: 320}\nsearch: {type: beam, margin: 5e0, blank_penalty: 5e-1}\n"
        "packet_ms: 8e1\nendpoint: {trailing_silence: 5e-1}\n"
    )
    config = DecodeConfig.from_file(tmp_path / "a.yaml")
    assert (config.search["margin"], config.search["blank_penalty"], config.packet_ms) == (5.0, 0.5, 80.0)
    assert config.endpoint is not None and config.endpoint.trailing_silence == 0.5
    with pytest.raises(UserError, match="packet_ms 'inf' is not a positive"):
        DecodeConfig.from_dict({"packet_ms": "inf"})
    (tmp_path / "b.yaml").write_text("mode: masked\nmode: streaming\n")
    with pytest.raises(UserError, match="key 'mode' stands here twice"):
        DecodeConfig.from_file(tmp_path / "b.yaml")
