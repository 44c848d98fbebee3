"""Pages of the site that are not in docs/: CONTRIBUTING.md and CHANGELOG.md, and links to and from them.

Links are written so that they work where the files lie, as in the browser of a repository. The site has other places
for the files outside docs/, so links to them and from them are rewritten; a link to anything else outside docs/ fails
the strict build.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files beside docs/, and the page of the site that stands for each."""
INCLUDED = ("CONTRIBUTING.md", "CHANGELOG.md")
BLOCK = re.compile(r"(<pre.*?</pre>)", re.S)
OPTION = re.compile(r"(?<![\w>-])--[a-z][\w-]*|(?<=<code>)--[a-z][\w-]*")
ROLE = re.compile(r":(?:func|class|meth|mod|attr|data|exc):<code>(?:~[\w.]*\.)?")
LINK = re.compile(r"\]\((?P<path>[^)#:\s]+)(?P<title>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for name in INCLUDED:
        files.append(File.generated(config, OUTSIDE[name], abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page that lead into docs/ or out of it."""
    inside = page.file.src_uri
    source = next((name for name in INCLUDED if OUTSIDE[name] == inside), f"docs/{inside}")
    return LINK.sub(lambda found: f"]({moved(found['path'], source, inside)}{found['title'] or ''})", markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Keep the name of an option in running text on one line, where browsers break after hyphens, and show names alone.

    Docstrings mark some names by their role, as in ``:func:`load_encoder```.
    """
    parts = BLOCK.split(html)  # every second part is a block, which keeps its lines
    parts[::2] = [re.sub(r"<code>.*?</code>", _unbroken, part, flags=re.S) for part in parts[::2]]
    return ROLE.sub("<code>", "".join(parts))


def _unbroken(code: re.Match[str]) -> str:
    return OPTION.sub(r'<span class="option">\g<0></span>', code[0])


def moved(link: str, source: str, page: str) -> str:
    """A link of the file ``source`` of the repository as it reads in the page of the site that was made from it."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    if target in OUTSIDE:
        target = OUTSIDE[target]
    elif target.startswith("docs/"):
        target = target.removeprefix("docs/")
    else:
        return link
    return os.path.relpath(target, posixpath.dirname(page) or ".")
