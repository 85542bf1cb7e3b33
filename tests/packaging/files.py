"""Where the files of a checkout are: the tests of packaging look at them, and an installed suite has none."""

import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IN_CHECKOUT = unittest.skipUnless((ROOT / "setup.py").is_file(), "these files are in the checkout only")
