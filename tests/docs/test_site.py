"""The documentation site builds without a warning, and its links lead somewhere."""

import importlib
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from backends import once

import keras_mmfusion
from keras_mmfusion.presets._registry import shipped_directory

ROOT = Path(__file__).resolve().parents[2]
PRESETS = sorted(path.parent.name for path in shipped_directory().glob("*/README.md"))
pytestmark = once


class Page(HTMLParser):
    """Anchors, links, what is loaded, and tables of a page."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loaded, self.tags = set(), [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.anchors |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag in ("script", "img", "iframe", "source") and attrs.get("src"):
            self.loaded.append(attrs["src"])
        if tag == "link" and attrs.get("rel") in ("stylesheet", "icon", "preconnect"):
            self.loaded.append(attrs["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """All pages of the built site, by path."""
    pytest.importorskip("mkdocs", reason="needs pip install -e '.[docs]'")
    for name in ("material", "mkdocstrings_handlers.python", "latex2mathml"):
        pytest.importorskip(name, reason="needs pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir"]
    done = subprocess.run(
        [*command, str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder, {path: Page(path) for path in folder.rglob("*.html")}


def broken(folder, pages):
    """Links between pages that lead nowhere, and anchors that are not there."""
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            # The page of errors is served at any address.
            if parts.scheme or path.name == "404.html":
                continue
            target = path
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
                target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            known = pages[target].anchors if target in pages else {anchor}
            if not target.is_file() or (anchor and anchor not in known):
                yield f"{path.relative_to(folder)}: {link}"


def test_links_and_anchors(site):
    folder, pages = site
    assert len(pages) > len(PRESETS)
    assert list(broken(folder, pages)) == []


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there"></a><a href="b.html#gone"></a><img src="c.png">'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p><a href="https://x.org/"></a>')
    pages = {path: Page(path) for path in tmp_path.glob("*.html")}
    assert list(broken(tmp_path, pages)) == ["a.html: b.html#gone", "a.html: c.png"]


def test_nothing_is_loaded_from_elsewhere(site):
    _, pages = site
    loaded = {address for page in pages.values() for address in page.loaded}
    assert [address for address in loaded if urlsplit(address).netloc] == []


def test_pages_fit_a_phone(site):
    _, pages = site
    for path, page in pages.items():
        named = [attrs.get("name") for tag, attrs in page.tags if tag == "meta"]
        assert "viewport" in named, path
        wide = [a for tag, a in page.tags if tag == "img" and "width" in a]
        assert wide == [], path


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_card_and_a_row(site, name):
    folder, pages = site
    card = folder / "zoo" / name / "index.html"
    pictures = [attrs["src"] for tag, attrs in pages[card].tags if tag == "img"]
    expected = {path.name for path in (shipped_directory() / name).glob("*.png")}
    assert set(pictures) == expected
    table = pages[folder / "zoo" / "index.html"]
    assert f"{name}/index.html" in table.links


def test_the_table_of_presets_sorts(site):
    folder, pages = site
    page = pages[folder / "zoo" / "index.html"]
    assert ("div", {"class": "sortable"}) in page.tags
    assert "../assets/sort_tables.js" in page.loaded


def test_everything_public_is_on_its_page(site):
    folder, pages = site
    modules = set(keras_mmfusion.__all__) - {"__version__", "cli"}
    for module in modules:
        package = importlib.import_module(f"keras_mmfusion.{module}")
        anchors = pages[folder / "api" / f"{module}.html"].anchors
        for name in dir(package):
            value = getattr(package, name)
            ours = getattr(value, "__module__", "").startswith("keras_mmfusion.")
            if name[0] != "_" and callable(value) and ours:
                assert f"keras_mmfusion.{module}.{name}" in anchors


def test_formulas_and_sections_are_drawn(site):
    folder, pages = site
    formulas = [t for t, _ in pages[folder / "fusions.html"].tags if t == "math"]
    source = (ROOT / "docs" / "fusions.md").read_text(encoding="utf-8")
    assert len(formulas) == source.count("```math\n") > 10
    text = (folder / "api" / "layers.html").read_text(encoding="utf-8")
    for title in ("Call arguments", "Input shape", "Output shape", "Reference"):
        assert f'<span class="doc-section-title">{title}:</span>' in text
        assert f"<p>{title}:" not in text
