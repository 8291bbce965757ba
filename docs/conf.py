"""
The site of the documentation: `make docs` builds it into build/docs.

Sphinx, for three reasons: every cross-reference is checked and a broken one fails the build, the Python reference can come from
the docstrings without a plugin, and the theme brings its fonts, scripts and styles with it, so that a reader's browser asks no other host.
Pages are Markdown (MyST), so that they read as well in a file view as on the site.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from pixfind import __version__  # noqa: E402  the path above comes first

project = "pixfind"
author = "the pixfind authors"
version = release = __version__
project_copyright = author

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"pixfind {release}"
html_copy_source = False
html_show_sphinx = False
html_use_opensearch = ""
