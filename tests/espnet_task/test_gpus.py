from __future__ import annotations

import pytest

from xlsrt.espnet_task.gpus import local_rank


@pytest.mark.parametrize(
    ("visible", "ngpu", "expected"),
    [
        (None, 0, None),
        ("", 0, 0),
        ("3", 0, 0),
        ("GPU-5ab", 0, 0),
        ("0,1", 0, None),
        (None, 1, None),
        ("3", 1, None),
        ("GPU-5ab", 1, 0),
        ("MIG-7cd", 1, 0),
        ("0,1", 1, None),
    ],
)
def test_espnet_is_not_asked_to_read_a_number_that_is_none(visible, ngpu: int, expected) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert local_rank(None, None, ngpu, environ) == expected
    # What is told, by an option, a launcher or torchrun's variable, stays.
    assert local_rank(2, None, ngpu, environ) == 2
    assert local_rank(None, "slurm", ngpu, environ) is None
    assert local_rank(None, None, ngpu, {**environ, "LOCAL_RANK": "1"}) is None
