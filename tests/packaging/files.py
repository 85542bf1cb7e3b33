"""Where the files of a checkout are: the tests of packaging look at them, and an installed suite has none."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
