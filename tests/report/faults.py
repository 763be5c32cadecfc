"""What is wrong with a report in a browser: complaints, requests, dead links, pictures, players."""

from __future__ import annotations

from pathlib import Path

from tests.report.chromium import Page

# A phone in the hand and a window on a desk, in CSS pixels.
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}

# The list grows by a page at a time; "all" also has utterances without errors.
_SHOW_ALL = (
    "(() => { const kind = document.getElementById('kind'); if (!kind) return;"
    "kind.value = 'all'; kind.dispatchEvent(new Event('change'));"
    "const more = document.querySelector('#list > button');"
    "while (!more.hidden) more.click(); })()"
)

# One after another, and let go: a browser has no hundreds of players at once.
_LENGTHS = (
    "(async () => { const lengths = []; for (const player of document.querySelectorAll('audio')) {"
    "lengths.push(await new Promise((done) => {"
    "player.onloadedmetadata = () => done(player.duration); player.onerror = () => done(-1);"
    "player.preload = 'auto'; player.load(); }));"
    "player.onerror = null; player.removeAttribute('src'); player.load(); } return lengths; })()"
)


def faults(page: Page, html: Path, size: tuple[int, int]) -> tuple[list[str], list[float]]:
    """Open ``html`` in a window of ``size``, click every link, show every utterance and load every player.

    Returns:
        What is wrong, a line each; and how long the players play, in seconds.
    """
    page.problems.clear()
    page.requests.clear()
    page.open(html, *size)
    found = []
    for link in page.run("[...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))"):
        if not (link.startswith("#") and page.run(f"document.querySelector('{link}') !== null")):
            found.append(f"the link {link} leads nowhere")
    page.run("document.querySelectorAll('a').forEach((a) => a.click())")
    page.run(_SHOW_ALL)
    if (wide := page.run("document.documentElement.scrollWidth")) > size[0]:
        found.append(f"the page is {wide} wide in a window of {size[0]}")
    if not page.run("[...document.images].every((image) => image.naturalWidth > 0)"):
        found.append("a picture does not show")
    lengths = page.run(_LENGTHS)
    found += [f"player {i} does not play" for i, seconds in enumerate(lengths) if seconds <= 0]
    found += [f"console: {problem}" for problem in page.problems]
    asked = {
        request.partition("#")[0] for request in page.requests if not request.startswith(("data:", "blob:"))
    }
    found += [f"request: {request}" for request in sorted(asked - {html.resolve().as_uri()})]
    return found, lengths
