"""Run a function over a stream of jobs in several processes, in order and with bounded memory."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from xlsrt.errors import UserError
from xlsrt.processes import end_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")


def _run_all(function: Callable[[Job], Result], jobs: list[Job]) -> list[Result]:
    return [function(job) for job in jobs]


def ordered_map(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    nj: int = 1,
    batch: int = 16,
    is_light: Callable[[Job], bool] | None = None,
) -> Iterator[Result]:
    """Yield ``function(job)`` for each job in order; nj > 1 processes share the work, one needs none.

    At most ``4 * nj`` batches of jobs are in flight, so an endless stream of jobs needs no memory.
    Batches of jobs that are all light (``is_light``) are done here: sending them would cost more.
    Workers are fresh interpreters (spawn): a function of a module, and jobs and results that pickle.

    Raises:
        UserError: nj is less than 1, or a worker was killed (mostly: no memory left).
    """
    if nj < 1:
        raise UserError(f"--nj {nj}: the number of parallel jobs is at least 1")
    if nj == 1:
        yield from map(function, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(nj, mp_context=context, initializer=end_with_parent) as pool:

        def submit(chunk: list[Job]) -> Future[list[Result]]:
            if is_light is None or not all(map(is_light, chunk)):
                return pool.submit(_run_all, function, chunk)
            done: Future[list[Result]] = Future()
            done.set_result(_run_all(function, chunk))
            return done

        pending: deque[Future[list[Result]]] = deque()
        chunk: list[Job] = []
        try:
            for job in jobs:
                chunk.append(job)
                if len(chunk) == batch:
                    pending.append(submit(chunk))
                    chunk = []
                if len(pending) >= 4 * nj:
                    yield from pending.popleft().result()
            if chunk:
                pending.append(submit(chunk))
            while pending:
                yield from pending.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process was killed, most likely for want of memory: run again with a smaller --nj"
            ) from None
        finally:
            # An error or an interrupt must not wait for jobs that nobody will read.
            pool.shutdown(wait=False, cancel_futures=True)
