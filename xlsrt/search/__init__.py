"""Resumable, batched transducer searches. Results do not depend on how the frames were cut or batched.

Shape legend: B utterances or streams, T encoder frames of 20 ms, N joint frames, D encoder width, J joint
width, V vocabulary, W joint frames looked at together, K hypotheses of a beam.
"""

from __future__ import annotations

from xlsrt.search.base import Search
from xlsrt.search.beam import BeamSearch
from xlsrt.search.beam_state import BeamState
from xlsrt.search.factory import search_files, search_from_dict
from xlsrt.search.greedy import GreedySearch, GreedyState
from xlsrt.search.hypothesis import Hypothesis

__all__ = [
    "BeamSearch",
    "BeamState",
    "GreedySearch",
    "GreedyState",
    "Hypothesis",
    "Search",
    "search_files",
    "search_from_dict",
]
