"""Networks that asked not to be measured, in ZMap's file format: a CIDR prefix a line, comments after ``#``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from pathspider.targets.digest import open_hashing
from pathspider.targets.unpacking import Text, UnreadableError


class BlocklistError(ValueError):
    """A blocklist that cannot be read; measuring without it would be worse than not measuring."""


class Blocklist:
    """A set of networks, IPv4 and IPv6; looking an address up costs one step for each prefix length in it."""

    def __init__(self, prefixes: Iterable[str] = ()) -> None:
        self._networks: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
        self.sha256: str | None = None
        """Of the file's content, hexadecimal, where it was read from one."""
        for prefix in prefixes:
            network = ipaddress.ip_network(prefix, strict=False)
            bits = self._networks[network.version].setdefault(network.prefixlen, set())
            bits.add(int(network.network_address) >> (network.max_prefixlen - network.prefixlen))

    @classmethod
    def read(cls, name: str, what: str = "blocklist") -> Blocklist:
        """The blocklist in a file; :exc:`BlocklistError` with file, line and value for what is not a prefix.

        :param what: it is, in messages
        """
        try:
            with open_hashing(name) as file:
                lines = Text(file).all()
                while file.read(1 << 16):
                    pass
                found = file.raw.hash.hexdigest()
        except OSError as error:
            raise BlocklistError(f"{what} {name}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise BlocklistError(f"{what} {name}: not UTF-8: {error.reason} at byte {error.start}") from None
        except UnreadableError as error:
            raise BlocklistError(f"{what} {name}: {error}") from None
        prefixes = []
        for number, line in enumerate(lines.splitlines(), 1):
            prefix = line.split("#")[0].strip()
            try:
                if prefix:
                    ipaddress.ip_network(prefix, strict=False)
                    prefixes.append(prefix)
            except ValueError as error:
                text = f"{what} {name}, line {number}: {error}; give a prefix such as 192.0.2.0/24"
                raise BlocklistError(text) from None
        blocklist = cls(prefixes)
        blocklist.sha256 = found
        return blocklist

    def __contains__(self, address: str) -> bool:
        """True if an address (valid, as text) is in one of the networks."""
        parsed = ipaddress.ip_address(address)
        value, bits = int(parsed), parsed.max_prefixlen
        return any(value >> (bits - length) in networks for length, networks in self._networks[parsed.version].items())

    def __len__(self) -> int:
        return sum(len(networks) for lengths in self._networks.values() for networks in lengths.values())
