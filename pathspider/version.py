"""The version of PATHspider; the one place that says it. ``setup.py`` and the documentation read it as text."""

__version__ = "3.0.0.dev0"
