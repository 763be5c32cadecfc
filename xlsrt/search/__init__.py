"""Resumable, batched transducer searches. Results do not depend on how the frames were cut or batched.

The names load on first use: who has settings judged does not wait for torch.

Shape legend: B utterances or streams, T encoder frames of 20 ms, N joint frames, D encoder width, J joint
width, V vocabulary, W joint frames looked at together, K hypotheses of a beam.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlsrt.search.base import Search as Search
    from xlsrt.search.beam import BeamSearch as BeamSearch
    from xlsrt.search.beam_state import BeamState as BeamState
    from xlsrt.search.factory import search_from_dict as search_from_dict
    from xlsrt.search.greedy import GreedySearch as GreedySearch
    from xlsrt.search.greedy import GreedyState as GreedyState
    from xlsrt.search.hypothesis import Hypothesis as Hypothesis
    from xlsrt.search.options import check_search as check_search
    from xlsrt.search.options import own_lms as own_lms
    from xlsrt.search.options import search_files as search_files
    from xlsrt.search.options import search_settings as search_settings

_HOMES = {
    "BeamSearch": "beam",
    "BeamState": "beam_state",
    "GreedySearch": "greedy",
    "GreedyState": "greedy",
    "Hypothesis": "hypothesis",
    "Search": "base",
    "check_search": "options",
    "search_files": "options",
    "search_from_dict": "factory",
    "search_settings": "options",
    "own_lms": "options",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
