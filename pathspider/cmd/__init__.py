"""The commands of ``pspdr``, one a file: parse, call one function."""
