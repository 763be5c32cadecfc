from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from xlsrt.data.parallel import ordered_map
from xlsrt.errors import UserError


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def fail_at_seven(number: int) -> int:
    if number == 7:
        raise UserError("number seven")
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def is_small(number: int) -> bool:
    return number < 10


@pytest.mark.parametrize("nj", [1, 2])
def test_order_is_kept(nj: int) -> None:
    results = list(ordered_map(square, range(23), nj, batch=3))
    assert [result for result, _ in results] == [n * n for n in range(23)]
    assert (os.getpid() in {process for _, process in results}) == (nj == 1)


def test_light_batches_stay_here() -> None:
    results = list(ordered_map(square, range(30), 2, batch=5, is_light=is_small))
    assert [result for result, _ in results] == [n * n for n in range(30)]
    assert [process == os.getpid() for _, process in results] == [n < 10 for n in range(30)]


def test_jobs_are_drawn_as_they_are_needed() -> None:
    drawn = 0

    def jobs() -> Iterator[int]:
        nonlocal drawn
        for number in range(10_000):
            drawn += 1
            yield number

    results = ordered_map(square, jobs(), 2, batch=2)
    next(results)
    assert drawn <= 2 * 4 * 2 + 2
    results.close()


def test_errors_of_jobs_and_killed_workers() -> None:
    with pytest.raises(UserError, match="number seven"):
        list(ordered_map(fail_at_seven, range(20), 2, batch=2))
    with pytest.raises(UserError, match=r"a worker process was killed.*smaller --nj"):
        list(ordered_map(die, range(4), 2, batch=2))
    with pytest.raises(UserError, match="--nj 0"):
        list(ordered_map(square, range(3), 0))
