"""What figures show, asked of matplotlib's own objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from xlsrt.context import AttentionContext
from xlsrt.report import figures, sections
from xlsrt.report.attention import Measured, share_figure
from xlsrt.report.decodings import Decoded
from xlsrt.report.edits import align
from xlsrt.report.names import search_names
from xlsrt.report.patterns import parse_context

FULL = {"chunk_ms": None, "left_ms": "all", "sink_frames": 0}
GREEDY, BEAM = {"type": "greedy"}, {"type": "beam", "beam_size": 8, "lm": "ngram"}


def decoded(model: str, decoding: str, context: dict, search: dict | None, errors: int) -> Decoded:
    """Of ten words with so many errors."""
    facts = {"context": context} | ({} if search is None else {"search": search})
    made = Decoded(Path(f"exp/asr_x_stage{model}/decode_{decoding}/test"), facts)
    words = ["w"] * 10
    made.__dict__["alignments"] = {"u": align(words, ["x"] * errors + words[errors:])}
    return made


def chunks(ms: int) -> dict:
    return {"chunk_ms": ms, "left_ms": 640, "sink_frames": 0}


SETS = [
    decoded("1", "offline", FULL, GREEDY, 4),
    decoded("1", "whole_beam8", FULL, BEAM, 1),
    decoded("5b", "320", chunks(320), GREEDY, 6),
    decoded("5b", "640", chunks(640), GREEDY, 5),
    decoded("5b", "640_beam8", chunks(640), BEAM, 2),
]


def texts(legend_of: Figure) -> list[str]:
    (legend,) = legend_of.legends
    return [text.get_text() for text in legend.get_texts()]


def test_a_line_has_one_model_and_one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(figures, "svg", lambda figure: drawn.append(figure) or "")

    class Material:
        attention = False

        def by_dataset(self):
            return [("test", SETS)]

    sections.latency(Material())
    (figure,) = drawn
    assert texts(figure) == ["5b greedy", "5b beam 8, LM", "1 whole_beam8, offline"]
    lines = figure.axes[0].get_lines()
    assert [list(line.get_ydata()) for line in lines] == [[60.0, 50.0], [20.0], [10.0, 10.0]]


def test_the_legend_covers_no_point() -> None:
    points = {f"model {n}": [(640.0, 10.0 + n, "left 640 ms"), (1280.0, 8.0 + n, "")] for n in range(11)}
    figure = figures.latency_figure(points, {"1 offline": 5.0}, "test")
    figure.draw_without_rendering()
    legend, axes = figure.legends[0].get_window_extent(), figure.axes[0].get_window_extent()
    assert not legend.overlaps(axes) and axes.height > 200
    assert figure.bbox.height >= legend.height + axes.height
    looks = {
        (line.get_color(), line.get_marker(), line.get_linestyle()) for line in figure.axes[0].get_lines()
    }
    assert len(looks) == 12


def test_names_of_searches() -> None:
    assert set(search_names(SETS[2:4]).values()) == {""}
    assert list(search_names(SETS[3:]).values()) == ["greedy", "beam 8, LM"]
    other = decoded("5b", "more", chunks(640), {**BEAM, "lm_weight": 0.7}, 2)
    assert list(search_names([SETS[4], other]).values()) == [
        "type beam, beam_size 8, lm ngram",
        "type beam, beam_size 8, lm ngram, lm_weight 0.7",
    ]
    assert list(search_names([SETS[2], decoded("5b", "old", chunks(640), None, 2)]).values()) == [
        "greedy",
        "",
    ]


def test_names_of_stages_are_at_their_borders_only_if_each_has_one_curve() -> None:
    curve = ([1.0, 2.0], [1.0, 2.0])
    borders = [(0.0, "stage 1"), (2.0, "stage 2"), (4.0, "stage 3")]

    def legend(*names: str) -> bool:
        return figures.curve_figure(dict.fromkeys(names, curve), "", borders).axes[0].get_legend() is not None

    assert not legend("stage 1", "stage 2b", "stage 3c")
    assert legend("stage 1", "stage 2a", "stage 2b"), "as many curves as stages, yet two of one stage"
    assert legend("stage 1", "stage 3c")


def test_bars_have_room() -> None:
    few, many = (figures.bar_figure({f"s{i}": 1.0 for i in range(count)}, "", "") for count in (3, 40))
    assert few.get_figheight() == pytest.approx(figures.PANEL[1]) and many.get_figheight() > 8


def test_pictures_of_contexts_have_legends() -> None:
    named = [parse_context(text) for text in ("full", "640,1280,0", "640,640,16")]
    assert texts(figures.pattern_figure(named, 100)) == ["own chunk", "past", "sinks"]
    legend = figures.memory_figure(named, 1000, "a model").axes[0].get_legend()
    assert legend and [text.get_text() for text in legend.get_texts()] == [n.name for n in named]


def test_numbers_are_white_on_dark_cells() -> None:
    share = np.array([[0.05, 0.5], [0.31, 0.29]])
    measured = Measured(AttentionContext(4, 4, 2), 30, 2, 22, share, share, share, 0.1, share, share)
    inks = {text.get_text(): to_rgba(text.get_color()) for text in share_figure(measured).axes[0].texts}
    white, black = to_rgba("white"), to_rgba("black")
    assert inks == {"5": black, "50": white, "31": white, "29": black}
