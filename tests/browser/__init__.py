"""What a browser makes of the pages that the program writes: the report, and the documentation.

``make browser-test`` runs these, with Debian's chromium. No module here is called ``test_…``: the rest of the suite
needs no browser, and does not find them.
"""
