"""Counts of conditions with their uncertainty, from result files of any size: ``pspdr report``."""
