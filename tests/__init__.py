"""The test suite. ``pspdr test`` runs it; an installed package has a copy, without what else a checkout holds."""

import unittest
from contextlib import suppress
from pathlib import Path

with suppress(ImportError):  # an installed package only recommends it
    from hypothesis import HealthCheck, settings

    # By default an example that takes 0.2 s is an error: on a busy machine any of them may.
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")

CHECKOUT = Path(__file__).resolve().parents[1].joinpath("setup.py").is_file()
"""Whether this is the checkout, with its documentation, examples and servers."""

in_checkout = unittest.skipUnless(CHECKOUT, "needs what only the checkout holds")
"""For tests that look at such things."""
