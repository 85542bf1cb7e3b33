"""The scenarios, one module a plugin."""
