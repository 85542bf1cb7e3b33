"""Kinds of connection, one a file."""
