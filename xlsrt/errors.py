"""What is said to users: the one exception type for mistakes that they can mend, and how much else."""

from __future__ import annotations


class UserError(ValueError):
    """A wrong option, file or value. The message names it and the way out; no traceback is shown for it."""


QUIET = "XLSRT_QUIET"
"""Environment variable: "true" leaves out all but warnings, errors and results (``run.sh --quiet true``)."""
