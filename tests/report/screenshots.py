"""Pictures of a report, and its faults.

``python -m tests.report.screenshots exp/report/index.html docs/images``
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from tests.report.chromium import chromium
from tests.report.faults import SIZES, faults

SHOTS = {
    "report_desktop": (1280, 1000, "scrollTo(0, 0)"),
    "report_errors": (1280, 800, "document.getElementById('part-errors').scrollIntoView()"),
    "report_phone": (390, 844, "scrollTo(0, 0)"),
    "report_phone_errors": (390, 844, "document.getElementById('list').scrollIntoView()"),
}


def main(html: Path, directory: Path) -> int:
    with chromium() as page:
        wrong = 0
        for device, size in SIZES.items():
            found, lengths = faults(page, html, size)
            print(f"{device}: {len(lengths)} players, {len(found)} faults", *found, sep="\n  ")
            wrong += len(found)
        for name, (width, height, scroll) in SHOTS.items():
            page.open(html, width, height)
            page.run(scroll)
            page.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))")
            page.screenshot(directory / f"{name}.png")
            # A fifth of the bytes, and nothing is seen of it.
            picture = Image.open(directory / f"{name}.png").convert("RGB").quantize(96)
            picture.save(directory / f"{name}.png", optimize=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
