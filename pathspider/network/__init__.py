"""The vantage point's machine: facts about its interfaces, and settings borrowed from it."""
