"""What holds for all tests: their order, and that none is timed."""

from __future__ import annotations

import hypothesis
import pytest

LONG = ("recipe/test_run.py", "recipe/test_run_on_queue.py")
"""Files that take minutes come first, so that none of them is left for one process at the end."""

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of `LONG` before the others, which keep their order."""

    def place(item: pytest.Item) -> int:
        return next((at for at, name in enumerate(LONG) if item.path.as_posix().endswith(name)), len(LONG))

    items.sort(key=place)
