"""Files of evidence for tests, as a run writes them."""

from pathspider import pcapng
from tests.libtrace.frames import tcp4

INTERFACE = pcapng.Interface("lab0", 1, 65535, "tcp")


def file_of(*packets, comments=("x 1.0, run the-run: x.connectivity.broken",)):
    """A pcapng file of (milliseconds, frame, comment)."""
    return (pcapng.section_header(comments) + pcapng.interface_description(INTERFACE)
            + b"".join(pcapng.enhanced_packet(INTERFACE, 10**18 + ms * 10**6, len(data), data, comment)
                       for ms, data, comment in packets))


def pair():
    """A baseline that is answered, and an experiment whose SYN is not."""
    return file_of(
        (0, tcp4("S", sport=1000, options=[("MSS", 1460)]), "configuration 0 (baseline), first connections: ok; x"),
        (5, tcp4("SA", rev=True, sport=1000, tos=2), ""), (6, tcp4("A", sport=1000), ""),
        (7, tcp4("SEC", sport=1001), "configuration 1 (experiment), first connections: timeout; x"),
        (8, tcp4("PA", sport=1000, payload=b"hello", tos=0xB8), ""), (1007, tcp4("SEC", sport=1001), ""))
