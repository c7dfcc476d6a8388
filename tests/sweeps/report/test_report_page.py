"""The report as a reader opens it: from a file, in a browser, without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sweeps.report.write import write_report
from tests.sweeps.synthetic import note, write_synthetic

TEN_MB = 10_000_000


def reported(out: Path, trials: int) -> Path:
    """A synthetic sweep's report.html, with two figures; of many trials with large ones."""
    write_synthetic(out, trials=trials)
    (out / "figures").mkdir()
    size = (2400, 1200) if trials > 100 else (600, 300)
    files = [f"figures/bottle_cap-{kind}.png" for kind in ("tsne", "pseudo")]
    for place, file in enumerate(files):
        Image.effect_noise(size, 30 + place).save(out / file)
    note(out, figures={"trial": 0, "files": files})
    return write_report(out)


class Visit:
    """A page in a browser, and what it did that it should not."""

    def __init__(self, browser: Any, file: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": 1400, "height": 900})
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())

    def asked_for(self) -> list[str]:
        """What was loaded from elsewhere than the file itself."""
        return [url for url in self.requests[1:] if not url.startswith(("data:", "blob:"))]


@pytest.fixture(scope="module", params=[12, pytest.param(2000, marks=pytest.mark.slow)])
def visit(request, browser, tmp_path_factory) -> Iterator[Visit]:
    visit = Visit(browser, reported(tmp_path_factory.mktemp("visited"), request.param))
    yield visit
    visit.page.close()


def test_everything_is_there_and_nothing_is_wrong_or_fetched(visit):
    assert visit.page.locator("section").count() == 16
    assert visit.complaints == []
    assert visit.asked_for() == []
    assert visit.page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_page(visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    wide = "document.documentElement.scrollWidth <= window.innerWidth"
    visit.page.wait_for_function(wide, timeout=30_000)


# Of every element with text of its own: its ink against the backgrounds below it, and what it needs (WCAG 2, level AA).
PALE = """() => {
  const parts = color => (color.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const below = node => {
    if (!node) return [255, 255, 255];
    const [r, g, b, alpha = 1] = parts(getComputedStyle(node).backgroundColor);
    if (alpha === 1) return [r, g, b];
    return below(node.parentElement).map((v, place) => (1 - alpha) * v + alpha * [r, g, b][place]);
  };
  return [...document.querySelectorAll("body *:not(script):not(svg *)")]
    .filter(node => [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()))
    .filter(node => node.checkVisibility())
    .map(node => {
      const style = getComputedStyle(node), size = parseFloat(style.fontSize);
      const [dark, bright] = [light(parts(style.color).slice(0, 3)), light(below(node))].sort((a, b) => a - b);
      const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
      return [(bright + 0.05) / (dark + 0.05) / needed, node.textContent.slice(0, 40), node.className];
    }).filter(([ratio]) => ratio < 1);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_by_weak_eyes(visit, scheme):
    visit.page.emulate_media(color_scheme=scheme)
    assert visit.page.evaluate(PALE) == []
    visit.page.add_style_tag(content=".tile .note { color: #8899aa; background: #808080 }")
    assert visit.page.evaluate(PALE), "what is pale would be told"
    visit.page.evaluate("document.head.lastElementChild.remove()")


def test_every_section_is_in_the_table_of_contents(visit):
    page = visit.page
    sections = page.eval_on_selector_all(
        "section", "all => all.map(one => [one.id, one.querySelector('h2').innerText])"
    )
    listed = page.eval_on_selector_all("nav a", "all => all.map(one => [one.hash.slice(1), one.innerText])")
    assert listed == sections


@pytest.mark.parametrize("trials", [1, pytest.param(2000, marks=pytest.mark.slow)])
def test_any_number_of_trials_is_one_page_of_less_than_ten_megabytes(tmp_path, trials):
    page = reported(tmp_path, trials)
    markdown = (tmp_path / "report.md").read_text()
    assert page.stat().st_size < TEN_MB
    assert "figures/" not in page.read_text()
    for shown in re.findall(r"\]\((.*?)\)", markdown):
        assert (tmp_path / shown).read_bytes().startswith(b"\x89PNG")
    assert len(re.findall(r"\]\(plots/", markdown)) == len(list((tmp_path / "plots").iterdir()))
