"""axe-core in the browser: what it finds against WCAG 2.2 AA, and what it leaves open of contrast in drawings."""

from importlib.metadata import distribution
from pathlib import Path

from tests.fakes.browser import Page

LEVELS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
MIN_CONTRAST = 4.5
"""Of text, WCAG 2.2 success criterion 1.4.3."""


def violations(page: Page) -> list[str]:
    """One line for each rule that is broken, with the elements that break it."""
    page.value(_axe_core() + ";0")
    found = page.value(f"axe.run(document, {{ runOnly: {{ type: 'tag', values: {list(LEVELS)} }} }})")
    assert len(found["passes"]) > 15  # it has looked
    return [f"{one['id']} ({one['impact']}): {[node['target'] for node in one['nodes']]}" for one in found["violations"]]


def faint_chart_texts(page: Page) -> list[str]:
    """Texts of charts with too little contrast to their card. axe leaves them open: what lies under a text of an SVG it does not know."""
    script = """(() => {
      const rgb = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
      const linear = (level) => (level / 255 <= 0.04045 ? level / 255 / 12.92 : ((level / 255 + 0.055) / 1.055) ** 2.4);
      const luminance = (colour) => rgb(colour).reduce((sum, level, i) => sum + [0.2126, 0.7152, 0.0722][i] * linear(level), 0);
      const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return [...document.querySelectorAll("svg text")].filter((text) => text.checkVisibility()).map((text) => [
        text.textContent,
        contrast(luminance(getComputedStyle(text).fill), luminance(getComputedStyle(text.closest(".card")).backgroundColor)),
      ]);
    })()"""
    return [f"{text}: {contrast:.1f}" for text, contrast in page.value(script) if contrast < MIN_CONTRAST]


def _axe_core() -> str:
    """Without importing the package that brings it, which would want Playwright."""
    package = Path(str(distribution("axe-playwright-python").locate_file("axe_playwright_python")))
    return (package / "axe.min.js").read_text(encoding="utf-8")
