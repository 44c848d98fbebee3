"""The documentation as a site: it builds without a warning, imports nothing of ours, loads nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
CONFIG = DOCS / "site" / "mkdocs.yml"
NEEDED = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers.python")


def is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


needs_mkdocs = pytest.mark.skipif(
    not all(map(is_there, NEEDED)), reason="mkdocs-material and mkdocstrings are not installed (the extra docs)"
)
WITHOUT = "import sys; sys.modules.update(dict.fromkeys({absent!r})); from mkdocs.__main__ import cli; cli()"
"""mkdocs where an import of any of these fails."""
LOADED = re.compile(
    r'<(?:script|img|iframe|source)[^>]* src="([^"]*)|<link[^>]* rel="(?:stylesheet|icon)"[^>]* href="([^"]*)'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built where neither this package nor fairseq nor torch can be imported."""
    folder = tmp_path_factory.mktemp("site")
    code = WITHOUT.format(absent=["fairseq", "fairseq_cli", "torch", "fairseq_xalign", "preprocess"])
    command = [sys.executable, "-c", code, "build", "--strict", "--config-file", str(CONFIG), "--site-dir", str(folder)]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr[-3000:]
    return folder


@needs_mkdocs
def test_the_site_builds_without_a_warning_and_without_importing_what_it_describes(site):
    pages = {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    built = {page.relative_to(site) for page in site.rglob("*.html")}
    assert pages | {Path("contributing.html"), Path("changelog.html")} <= built
    assert "float32" in (site / "reference" / "models.html").read_text("utf-8")


@needs_mkdocs
def test_a_page_loads_nothing_from_another_place(site):
    for page in site.rglob("*.html"):
        loaded = [a or b for a, b in LOADED.findall(page.read_text("utf-8"))]
        assert loaded and not [address for address in loaded if re.match(r"(?:\w+:)?//", address)], page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()[\s\"']*(?:https?:)?//", style.read_text("utf-8")), style.name


def test_every_page_has_one_place_in_the_navigation():
    nav = CONFIG.read_text("utf-8").split("\nnav:\n")[1].split("\n\n")[0]
    listed = re.findall(r"(?:- |: )(\S+\.md)$", nav, re.M)
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} | {"contributing.md", "changelog.md"}
    assert sorted(listed) == sorted(pages)


def test_make_builds_the_same_site():
    rule = (ROOT / "Makefile").read_text("utf-8").split("\nsite:")[1].split("\n\n")[0]
    assert f"mkdocs build --strict -f {CONFIG.relative_to(ROOT)}" in rule
