"""Records in the forms of others: tables, the Path Transparency Observatory's observations, an archive to publish.

Who reads them: ``pspdr export`` and ``pspdr bundle``.
"""
