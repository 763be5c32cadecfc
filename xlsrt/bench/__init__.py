"""What things cost, beside what others' cost: one module per kind, run by ``python -m xlsrt.bin.bench KIND``.

A module has ``HELP``, ``add_arguments(parser)`` and ``run(args)``; its name stands in `KINDS`.
"""

from __future__ import annotations

KINDS = ("encoder", "loss", "search", "stream", "hour", "quiet", "adapt", "data")
