"""The lab's zones below the names of its paths: what a resolver meets, and name servers that behave as some do.

``--iterative`` begins at the server of the root (:data:`ROOT_SERVER`), and is referred down. The lab's resolvers answer
for all of it, and for a name of a zone with a bad server as a resolver would that has asked there.

=========================== =====================================================================================
``www.lame.lab.test``       its server refuses: it has never heard of the zone. The resolver says SERVFAIL
``www.silent.lab.test``     no answer
``www.slow.lab.test``       an answer after :data:`SLOW` seconds
``www.truncated.lab.test``  over UDP an answer with TC, and nothing in it
``www.limited.lab.test``    a server with rate limiting: the first query from a port or for a type is not answered
``www.wrong-id.lab.test``   an answer with another id, and no other
``www.lying.lab.test``      an answer to another question, and no other
``alias.lab.test``          an alias of an alias of ``clean-1.lab.test``
``loop-1.lab.test``         an alias of ``loop-2.lab.test``, which is an alias of it
``many.lab.test``           300 addresses
``service.lab.test``        with an HTTPS record
``signed.lab.test``         with an RRSIG beside its address
``subnet.lab.test``         another address for each network that EDNS Client Subnet names
``lab.test``                name servers and mail exchangers, no address
=========================== =====================================================================================
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import dnslib

from pathspider.lab.addresses import CLEAN_TARGETS, DOMAIN, clean_address, clean_name

SLOW = 1.0
BAD_ZONES = ("lame", "silent", "slow", "truncated", "limited", "wrong-id", "lying")
ZONES = (".", "test", DOMAIN, *(f"{kind}.{DOMAIN}" for kind in BAD_ZONES))
FIRST_SERVER = CLEAN_TARGETS - 254
"""The clean target, from 0 on, whose address the root's server has: 10.127.255.1; other zones' follow."""
MANY = 300
PLAIN_PAYLOAD = 512
"""Octets of a datagram to who knows no EDNS. :rfc:`1035`, section 2.3.4"""
CLIENT_SUBNET = 8

ALIASES = {f"alias.{DOMAIN}": f"alias-2.{DOMAIN}", f"alias-2.{DOMAIN}": clean_name(0),
           f"loop-1.{DOMAIN}": f"loop-2.{DOMAIN}", f"loop-2.{DOMAIN}": f"loop-1.{DOMAIN}"}

_limited: set[tuple[str, int]] = set()
"""What was asked of the limited server before."""


class Delayed(bytes):
    """A message that is sent later."""

    seconds = SLOW


def server_address(zone: str, version: int) -> str:
    """The address of a zone's name server."""
    return clean_address(FIRST_SERVER + ZONES.index(zone), version)


ROOT_SERVER = server_address(".", 4)
SERVERS = {socket.inet_pton(socket.AF_INET if version == 4 else socket.AF_INET6, server_address(zone, version)): zone
           for zone in ZONES for version in (4, 6)}
"""Zone by its server's packed address."""


def name_server(zone: str) -> str:
    """The name of a zone's server."""
    return "ns.root" if zone == "." else f"ns.{zone}"


def is_in(name: str, zone: str) -> bool:
    """Whether a name, in small letters, is in a zone or below it."""
    return zone in (".", name) or name.endswith(f".{zone}")


def zone_of(name: str) -> str:
    """The zone that a name is in."""
    return max((zone for zone in ZONES if is_in(name, zone)), key=len)


def bad_kind(zone: str) -> str:
    """How the server of a zone behaves; empty for a good one."""
    return zone.removesuffix(f".{DOMAIN}") if zone.removesuffix(f".{DOMAIN}") in BAD_ZONES else ""


def addresses_of(name: str) -> dict[str, str] | None:
    """The addresses of a name that has one of each kind; None for a name that is not from here."""
    for zone in ZONES:
        if name == name_server(zone):
            return {"A": server_address(zone, 4), "AAAA": server_address(zone, 6)}
    number = 0 if bad_kind(zone_of(name)) and name == f"www.{zone_of(name)}" else \
        {f"service.{DOMAIN}": 1, f"signed.{DOMAIN}": 2}.get(name)
    return None if number is None else {"A": clean_address(number, 4), "AAAA": clean_address(number, 6)}


def further(name: str, request: dnslib.DNSRecord) -> list[dnslib.RR] | None:
    """What else there is of a name, aliases among it; None for a name that is not from here."""
    qtype = dnslib.QTYPE.get(request.q.qtype)
    texts: list[str]
    if name in ZONES and qtype == "NS":
        texts = [f"{name.rstrip('.')}. 60 NS {name_server(name)}."]
    elif name == DOMAIN and qtype == "MX":
        texts = [f"{name} 60 MX 20 {clean_name(3)}", f"{name} 60 MX 10 {clean_name(2)}"]
    elif name in ZONES:
        texts = []
    elif name in ALIASES:
        texts = [f"{name} 60 CNAME {ALIASES[name]}"]
    elif name == f"many.{DOMAIN}":
        version = {"A": 4, "AAAA": 6}.get(qtype)
        texts = [f"{name} 60 {qtype} {clean_address(number, version)}" for number in range(MANY)] if version else []
    elif name == f"service.{DOMAIN}" and qtype == "HTTPS":
        texts = [f"{name} 60 HTTPS 1 . alpn=h2,http/1.1 port=443 ipv4hint={clean_address(1, 4)}"]
    elif name == f"signed.{DOMAIN}" and qtype in ("A", "AAAA"):
        texts = [f"{name} 60 RRSIG {qtype} 13 3 60 20330101000000 20230101000000 1 {DOMAIN}. {'A' * 86}=="]
    elif name == f"subnet.{DOMAIN}":
        version = {"A": 4, "AAAA": 6}.get(qtype)
        texts = [f"{name} 60 {qtype} {clean_address(_number_of(request), version)}"] if version else []
    elif addresses_of(name) is None:
        return None
    else:
        texts = []
    return [record for text in texts for record in dnslib.RR.fromZone(text)]


def _number_of(request: dnslib.DNSRecord) -> int:
    """The clean target that whoever is in this network is led to: the third octet's, and target 9 without one."""
    for network in subnets(request):
        return int(network.network_address.packed[2])
    return 9


def subnets(request: dnslib.DNSRecord) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks that a query names by EDNS. :rfc:`7871`"""
    for record in request.ar:
        for option in record.rdata if record.rtype == dnslib.QTYPE.OPT else []:
            if option.code == CLIENT_SUBNET:
                data = bytes(option.data)
                size = 4 if data[1] == 1 else 16
                yield ipaddress.ip_network((data[4:].ljust(size, b"\0"), data[2]))


def referral(request: dnslib.DNSRecord, zone: str) -> dnslib.DNSRecord | None:
    """The response of a zone's server that has to send elsewhere, or knows nothing of the name; None where it has the
    answer itself."""
    name = str(request.q.qname).lower().rstrip(".") or "."
    reply = request.reply(aa=0, ra=0)
    if not is_in(name, zone) or bad_kind(zone) == "lame":
        reply.header.rcode = dnslib.RCODE.REFUSED
        return reply
    below = [other for other in ZONES if other != zone and is_in(other, zone) and is_in(name, other)]
    if not below:
        return None
    child = min(below, key=len)
    server = name_server(child)
    reply.add_auth(*dnslib.RR.fromZone(f"{child}. 60 NS {server}."))
    for version, qtype in ((4, "A"), (6, "AAAA")):
        reply.add_ar(*dnslib.RR.fromZone(f"{server}. 60 {qtype} {server_address(child, version)}"))
    return reply


def behave(request: dnslib.DNSRecord, response: bytes, *, datagram: bool, server: str | None) -> list[bytes]:
    """What a zone's server, or a resolver that has asked there, sends in place of a response, if anything.

    :param server: the zone whose server was asked, None for a resolver
    """
    name = str(request.q.qname).lower().rstrip(".") or "."
    if server is not None and server != zone_of(name):  # it has referred to that
        return [response]
    match bad_kind(zone_of(name)):
        case "lame" if server is None:
            reply = request.reply()
            reply.header.rcode = dnslib.RCODE.SERVFAIL
            response = reply.pack()
        case "slow":
            response = Delayed(response)
        case "wrong-id":
            response = bytes([response[0] ^ 1]) + response[1:]
        case "lying":
            other = dnslib.DNSRecord.question("another.example").reply()
            other.header.id = request.header.id
            response = other.pack()
        case "truncated" if datagram:
            response = truncated(request)
        case "silent":
            return []
        case "limited" if datagram and not _has_come_again(name, request.q.qtype):
            return []
    return [response]


def _has_come_again(name: str, qtype: int) -> bool:
    """Whether the limited server was asked this before; if so, it answers once."""
    asked = (name, qtype)
    if asked in _limited:
        _limited.remove(asked)
        return True
    _limited.add(asked)
    return False


def truncated(request: dnslib.DNSRecord) -> bytes:
    """A response with nothing in it but that there is more."""
    reply = request.reply()
    reply.header.tc = 1
    packed: bytes = reply.pack()
    return packed


def payload(request: dnslib.DNSRecord) -> int:
    """Octets of a datagram that the asker takes."""
    return max([PLAIN_PAYLOAD, *(int(record.rclass) for record in request.ar if record.rtype == dnslib.QTYPE.OPT)])
