"""Records on the terminal: how a run goes, and the story of one target. ``pspdr show``."""
