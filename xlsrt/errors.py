"""The one exception type for mistakes that a user can mend."""

from __future__ import annotations


class UserError(ValueError):
    """A wrong option, file or value. The message names it and the way out; no traceback is shown for it."""
