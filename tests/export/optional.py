"""Packages that some formats need, and an installed suite need not have."""

import unittest
from importlib.util import find_spec

with_pyarrow = unittest.skipIf(find_spec("pyarrow") is None, "needs pyarrow")
with_cryptography = unittest.skipIf(find_spec("cryptography") is None, "needs cryptography")
with_analysis = unittest.skipIf(None in map(find_spec, ("pyarrow", "duckdb", "pandas")), "needs DuckDB and pandas")
