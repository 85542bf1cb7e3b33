"""Names as people write them, and as they go on the wire. :rfc:`1035`, :rfc:`5891`, UTS 46"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from unicodedata import bidirectional

from pathspider.records import Job, Record

ROOT = "."
LONGEST_NAME, LONGEST_LABEL = 253, 63
"""Characters of a name, without the dot at its end, and of a label. :rfc:`1035` section 2.3.4"""

LONGEST_TEXT = 4 * LONGEST_NAME
"""Characters of what is looked at: mapping leaves some out, and what it costs grows with the square."""

PRINTABLE = re.compile(r"[!-~]+")
HOST = re.compile(r"[a-z0-9_-][a-z0-9_.-]*")
"""What may stand as host in a URL: nothing that could end the host part or the header line."""

PLAIN = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
"""Names that are in the one form already: nearly all that there are."""

PREFIX = "xn--"
URL = "://"
"""What no name has in it, though the DNS could hold it: who asks for that would be told that it does not exist."""
JOINERS = "\u200c\u200d"
RIGHT_TO_LEFT = {"R", "AL", "AN"}


class BadNameError(ValueError):
    """The text cannot be a name in the DNS."""


@lru_cache(maxsize=1024)
def to_wire(domain: str) -> str:
    """A name in the one form that HTTP, TLS and DNS get: ASCII, lower case, no dot at its end; the root is ``.``.

    What is not ASCII is mapped by UTS 46 (non-transitional: ``straße.de`` is ``xn--strae-oqa.de``) and encoded by IDNA
    2008, as browsers do it: symbols such as emoji, which IDNA 2008 refuses, have names too. What is ``xn--`` already
    stays. Underscores are good, and so are hyphens anywhere: such names are in use. An address is returned as it is.
    :exc:`BadNameError` for what the DNS cannot hold (an empty label, one of more than 63 characters, a name of more
    than 253), and for spaces, control characters and URLs.
    """
    if not isinstance(domain, str) or len(domain) > LONGEST_TEXT:
        raise BadNameError(f"not a domain name: {domain!r:.100}")
    name = domain.lower() if domain.isascii() else _to_ascii(domain)
    if name == ROOT:
        return name
    name = name.removesuffix(ROOT)
    labels = name.split(".")
    if len(name) > LONGEST_NAME or not PRINTABLE.fullmatch(name) or URL in name \
            or not all(0 < len(label) <= LONGEST_LABEL for label in labels):
        raise BadNameError(f"not a domain name: {domain!r:.100}")
    return name


def _to_ascii(domain: str) -> str:
    import idna  # noqa: PLC0415 - its tables take time to load, and most lists need none

    try:
        name = ".".join(map(_a_label, idna.uts46_remap(domain, std3_rules=False).split(".")))
    except UnicodeError as error:  # IDNAError is one
        raise BadNameError(f"not a domain name: {domain!r:.100}: {error}") from None
    if not HOST.fullmatch(name):  # some letters are mapped to others, a dash and a slash among them
        raise BadNameError(f"not a domain name: {domain!r:.100}")
    return name


def _a_label(label: str) -> str:
    """A label that has been mapped, in ASCII; ``UnicodeError`` if it has no such form."""
    import idna  # noqa: PLC0415

    if label.isascii():
        return label
    try:
        return idna.alabel(label).decode("ascii")
    except idna.IDNAError:
        # UTS 46 section 4.1, as browsers have it: no CheckHyphens, but CheckJoiners and CheckBidi
        if label.startswith(PREFIX):
            raise
        idna.check_initial_combiner(label)
        if RIGHT_TO_LEFT & set(map(bidirectional, label)):
            idna.check_bidi(label)
        if not all(idna.valid_contextj(label, at) for at, character in enumerate(label) if character in JOINERS):
            raise
    return PREFIX + label.encode("punycode").decode("ascii")


def canonical_domain(value: Any) -> Any:
    """What all ways of writing a name have in common; None where there is no name, else what is none as it is."""
    if not value:
        return None
    if isinstance(value, str) and len(value) <= LONGEST_NAME and PLAIN.fullmatch(value):
        return value
    try:
        return to_wire(value)
    except (BadNameError, TypeError):  # TypeError: what cannot be hashed
        return value


def both_spellings(job: Job) -> Record:
    """``domain_ascii``, for a record, where the job's name goes on the wire in another spelling than the job's own."""
    domain = job.get("domain")
    spelling = canonical_domain(domain)
    return Record(domain_ascii=spelling) if spelling and spelling != domain else Record()
