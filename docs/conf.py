"""Sphinx configuration."""

import re
from pathlib import Path

project = "PATHspider"
author = "the PATHspider authors"
release = re.search(r'^__version__ = "([^"]+)"', (Path(__file__).parent.parent / "pathspider" / "base.py").read_text(),
                    re.MULTILINE).group(1)
version = release
extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
exclude_patterns = ["_build"]
html_theme = "alabaster"
nitpicky = False
