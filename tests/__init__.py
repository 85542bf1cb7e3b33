"""The test suite. ``pspdr test`` runs it; an installed package has a copy, without what else a checkout holds."""

import unittest
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1].joinpath("setup.py").is_file()
"""Whether this is the checkout, with its documentation, examples and servers."""

in_checkout = unittest.skipUnless(CHECKOUT, "needs what only the checkout holds")
"""For tests that look at such things."""
