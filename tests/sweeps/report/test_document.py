"""A document says the same in Markdown, as a page and on the screen, whatever stands in it."""

from __future__ import annotations

import io
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from sweeps.report.document import embedding
from sweeps.report.document import report_blocks as b
from sweeps.report.document.console import on_screen
from sweeps.report.document.markdown import to_markdown
from sweeps.report.document.page import to_page
from sweeps.report.plots.draw import draw_plots


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.hidden = ""
        self.feed(html)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.hidden = tag if tag in ("script", "style", "title") else self.hidden

    def handle_endtag(self, tag):
        self.hidden = "" if tag == self.hidden else self.hidden

    def handle_data(self, data):
        if not self.hidden:
            self.texts.append(data)


def words(text: str) -> list[str]:
    return text.split()


def read_markdown(text: str) -> list[str]:
    """The words that a Markdown reader shows."""
    return words(Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(text)).text)


# Names that would be markup: of Markdown, of HTML, of rich, of a script. They begin with a letter, as sentences do.
texts = st.text("ab <>&|*_[]()\\`$~!'\"{}/:;\N{EN DASH}9", max_size=12).map("a{}z".format)
several = st.lists(texts, min_size=1, max_size=3)
cells = st.builds(b.Cell, texts, st.booleans(), st.none() | st.floats(0, 1))


@st.composite
def tables(draw: st.DrawFn) -> b.Table:
    width = draw(st.integers(1, 3))
    row = lambda content: st.lists(content, min_size=width, max_size=width)  # noqa: E731
    rows = draw(st.lists(row(cells), min_size=1, max_size=3))
    return b.Table(draw(row(texts)), rows, draw(st.integers(0, width)), draw(st.just("") | texts), [0])


cards_of = st.lists(st.builds(b.Card, texts, several), min_size=1, max_size=3)
some_blocks = st.one_of(
    st.builds(b.Strip, texts, st.just([])),
    st.builds(b.Cards, cards_of),
    st.builds(b.Heading, texts),
    st.builds(b.Paragraph, texts, st.booleans()),
    st.builds(b.Notice, texts, st.booleans()),
    st.builds(b.Bullets, several, st.booleans()),
    tables(),
)
documents = st.builds(
    b.Report,
    st.just("Kind"),
    texts,
    st.lists(st.builds(b.Notice, texts, st.booleans()), max_size=1),
    st.lists(st.builds(b.Section, st.just("id"), texts, st.lists(some_blocks, max_size=4)), max_size=3),
)


@given(documents)
@settings(max_examples=60, deadline=None)
def test_markdown_and_page_show_the_same_words_and_names_are_never_markup(document):
    markdown, page = to_markdown(document), Page(to_page(document, Path("/nowhere")))
    assert read_markdown(markdown) == words(page.text)[1:]  # the page says first what kind of document it is
    known = {"html", "head", "meta", "title", "style", "body", "header", "section", "p", "h1", "h2", "h3", "ul", "li"}
    known |= {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "strong", "wbr"}
    known |= {"article", "figure", "figcaption", "h4"}
    assert {tag for tag, _ in page.tags} <= known
    assert "<" not in markdown


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> tuple[b.Report, Path]:
    """A document with a block of each kind and all that lies beside it."""
    out = tmp_path_factory.mktemp("document")
    Image.new("RGB", (80, 40), "red").save(out / "odd name.png")
    tiles = b.Tiles([b.Tile("Best", "61.2 ± 1.0", "of seven"), b.Tile("Base", "\N{EN DASH}", "none yet")])
    ranks = b.Table.of(["trial", "average"], [["seven", "61.2 *"], ["two", b.Cell("40.0")]], title="Ranks", marked=[0])
    matrix = b.Table.of(["true", "hole"], [["hole", b.Cell("9", shade=0.9)], ["chip", b.Cell("0", shade=0.0)]])
    plot = b.Plot("line", "A line", "It rises.", Figure)
    dots = b.Plot("dots", "Some dots", "They stand.", Figure)
    plain = [b.Heading("Half"), b.Paragraph("Plain."), b.Bullets(["First.", "Second."]), b.Notice("Mild.")]
    pictures = [b.Picture("A red square", "odd name.png"), b.Picture("Gone", "gone.png")]
    strips = [b.Strip("Lying.", [b.Thumbnail("A dot", b"jpeg")])]
    cards = [b.Strip("Colours.", []), b.Cards([b.Card("Card", ["Line."], strips)])]
    first, second = [tiles, ranks, matrix, *plain], [plot, dots, *pictures, *cards]
    sections = [b.Section("one", "One", first), b.Section("two", "Two", second)]
    document = b.Report("Kind", "Title", [b.Notice("Severe!", severe=True)], sections)
    (out / "plots").mkdir()
    (out / "plots" / "of-an-older-report.png").touch()
    draw_plots(document, out)
    return document, out


def test_every_kind_of_block_is_in_both(everything):
    document, out = everything
    page = Page(to_page(document, out))
    shown = read_markdown(re.sub(r"!\[.*?\]\(.*?\)", "", to_markdown(document)))
    # a tile's unit, captions of pictures
    of_the_page = Counter(["Kind", "%", "A", "red", "square", "Lying."])
    assert Counter(words(page.text)) - of_the_page == Counter(shown) - Counter(["average,", "%"])
    assert {block.__class__ for block in document.blocks} == set(b.Block.__args__), "a kind of block is not tried"


def test_markdown_shows_the_files_that_lie_beside_it(everything):
    document, out = everything
    markdown = to_markdown(document)
    assert re.findall(r"\]\((.*?)\)", markdown) == ["plots/line.png", "plots/dots.png", "odd%20name.png", "gone.png"]
    assert sorted(path.name for path in (out / "plots").iterdir()) == ["dots.png", "line.png"]
    assert "| seven | **61.2** |" in markdown
    assert "| **Best** | **61.2 ± 1.0** | of seven |" in markdown
    assert "> **Severe!**" in markdown


def test_the_page_needs_nothing_else_and_runs_no_script(everything):
    document, out = everything
    html = to_page(document, out)
    page = Page(html)
    sources = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert len(sources) == 4
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"@import|url\(|<link", html.partition("<body>")[0])
    assert "script" not in [tag for tag, _ in page.tags]
    assert 'class="marked"' in html
    assert "rgba(31, 111, 178, 0.630)" in html


def test_the_screen_shows_text_and_tables(everything):
    console = Console(file=io.StringIO(), width=100)
    for part in on_screen(everything[0]):
        console.print(part)
    screen = console.file.getvalue()
    for said in ("warning: Severe!", "One", "Ranks", "61.2", "Half", "Plain.", "Second."):
        assert said in screen


def test_any_number_of_pictures_fits(tmp_path, monkeypatch):
    noise = tmp_path / "noise.png"
    Image.effect_noise((700, 700), 80).save(noise)
    (alone,) = embedding.embedded([noise])
    monkeypatch.setattr(embedding, "BUDGET", len(alone))
    *pictures, gone = embedding.embedded([noise] * 3 + [tmp_path / "gone.png"])
    assert gone == ""
    assert all(address.startswith("data:image/webp;base64,") for address in pictures)
    assert sum(map(len, pictures)) < 1.4 * len(alone)
