"""Sphinx configuration."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "PATHspider"
author = "the PATHspider authors"
release = re.search(r'^__version__ = "([^"]+)"', (Path(__file__).parent.parent / "pathspider" / "version.py")
                    .read_text(), re.MULTILINE).group(1)
version = release
extensions = ["sphinx.ext.autodoc", "sphinx_copybutton", "generated", "benchmarked", "printed"]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
smartquotes = False  # two hyphens are an option's, not a dash
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"PATHspider {release}"
html_short_title = "PATHspider"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_prompt_text = r"[$#] "  # what is copied of a console are its commands
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"
nitpicky = True  # a role that leads nowhere is an error
nitpick_ignore_regex = [
    # Python's and Scapy's own documentation, to which these pages have no links.
    ("py:.*", r"(argparse|collections|queue|scapy|socket|subprocess|threading)(\..*)?"),
    # Names of types that annotations use and that have no entry.
    ("py:class", r"(.*\.)?(Blocklist|Exchange|Experiment|FlowTable|Folder|Holder|Interface|Materials|Packets|PcapFile"
                 r"|Prefixes|Result|SockOpts|Tap)"),
]
