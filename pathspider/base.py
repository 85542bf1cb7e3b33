"""Placeholder until the spider lands."""

__version__ = "3.0.0.dev0"
