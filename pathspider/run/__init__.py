"""A run, from its first job to its last record: the stages, the queues between them, and one supervisor.

:mod:`pathspider.run.pipeline` shows the whole in one function.
"""
