from __future__ import annotations

import sys
from pathlib import Path

from xlsrt.bin import cpu_ranks


def test_the_command_stands_behind_two_dashes(tmp_path: Path) -> None:
    script = "import sys; open(sys.argv[2] + sys.argv[-1], 'w'); sys.exit(sys.argv[1] != '--num_ranks')"
    words = ["--num_ranks", "2", "--meeting_point", str(tmp_path / "meet"), "--"]
    assert cpu_ranks.main([*words, sys.executable, "-c", script, "--num_ranks", str(tmp_path / "r")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r0", "r1"]
