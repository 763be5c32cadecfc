from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.bin.plot_attention import main
from xlsrt.errors import UserError


def test_pictures(tmp_path: Path) -> None:
    main(["--output_dir", str(tmp_path), "--format", "svg", "--context", "full", "--context", "320,320,4"])
    for name in ("patterns.svg", "density.svg"):
        assert (tmp_path / name).read_text().rstrip().endswith("</svg>")
    with pytest.raises(UserError, match="--seconds 0"):
        main(["--output_dir", str(tmp_path), "--seconds", "0"])
