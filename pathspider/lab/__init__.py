"""The lab: paths whose truth is known, in network namespaces on this machine.

Three rooms joined by veth pairs: a client (interface ``lab0``), a router that treats each destination address in one
particular way, and servers that answer on every address of whole prefixes. So each address is a path, and what a
measurement of it must find is written down beside the rule that makes it so (:mod:`pathspider.lab.scenarios`).

>>> from pathspider.lab import Lab                                        # doctest: +SKIP
>>> with Lab() as lab:                                                    # doctest: +SKIP
...     lab.run(["pspdr", "measure", "-i", "lab0", "ecn"], stdin=targets)

Nothing leaves the namespaces, no service of the machine is touched, and whatever dies, nothing stays behind.
"""

from pathspider.lab.session import Lab, LabError

__all__ = ["Lab", "LabError"]
