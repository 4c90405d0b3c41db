"""How Sphinx builds the site (``make docs``). Nothing of it may load anything from the network."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

project = "graftlm"
author = "the graftlm maintainers"
copyright = author  # Sphinx's name for it
release = re.findall(r'^__version__ = "(.+)"', (ROOT / "core/graftlm/version.py").read_text(encoding="utf-8"), re.M)[0]
version = release
extensions = ["myst_parser"]
myst_heading_anchors = 4
nitpicky = True
html_theme = "furo"
html_title = f"graftlm {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
highlight_language = "text"

LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)\)")


def _of_the_repository(app: Any, name: str, source: list[str]) -> None:
    """A link to a file outside ``docs/`` works where the repository is read; on the site it is the file's name."""
    here = (DOCS / name).parent

    def said(match: re.Match[str]) -> str:
        path = Path(os.path.normpath(here / match[2]))
        if path.is_relative_to(DOCS):
            return match[0]
        if not path.exists():
            raise FileNotFoundError(f"{name} links to {match[2]}, which is not there")
        return f"{match[1]} (`{path.relative_to(ROOT)}` in the repository)"

    source[0] = LINK.sub(said, source[0])


def setup(app: Any) -> None:
    app.connect("source-read", _of_the_repository)
