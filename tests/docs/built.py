"""The documentation as Sphinx makes it, for all tests that look at it: its sources are read once."""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.packaging.files import ROOT

DOCS = ROOT / "docs"
FOLDER = tempfile.TemporaryDirectory()


@functools.cache
def built(builder):
    """The folder of what ``sphinx-build -b BUILDER`` makes; a warning is an error."""
    made = Path(FOLDER.name, builder)
    sphinx = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", builder, "-d", Path(FOLDER.name, "trees")]
    build = subprocess.run([*sphinx, DOCS, made], capture_output=True, text=True, check=False)
    if build.returncode:
        raise AssertionError(f"the documentation does not build:\n{build.stderr}")
    return made
