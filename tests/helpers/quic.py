"""QUIC packets for tests: the samples of RFC 9001 and RFC 9369, and others that are made with ``cryptography``.

Nothing of :mod:`pathspider.chains.initials` is used: this is the other side."""

import unittest
from pathlib import Path

try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.hmac import HMAC
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
except ImportError:
    AESGCM = None

with_cryptography = unittest.skipIf(AESGCM is None, "needs cryptography")

V1, V2 = 1, 0x6B3343CF
SALTS = {
    V1: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
    V2: "0dede3def700a6db819381be6e269dcbf9bd2ed9",
    0xFF00001D: "afbfec289993d24c9e9786f19c6111e04390a899",
    0xFF000022: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
}
INITIAL, ZERO_RTT, HANDSHAKE, RETRY = range(4)

DCID = bytes.fromhex("8394c8f03e515708")
"""The client's, in the samples."""

SERVER_ID = bytes.fromhex("f067a5502a4262b5")

CLIENT_FRAMES = bytes.fromhex(
    "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c000000010"
    "000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e00050005010000000000330026"
    "0024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e040305030603"
    "0203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901"
    "100f088394c8f03e51570806048000ffff"
)
"""What the client's Initial of RFC 9001, appendix A.2 carries: it asks for example.com and the protocol "alpn"."""

CLIENT_INITIAL = bytes.fromhex((Path(__file__).parents[1] / "data" / "quic-client-initial.hex").read_text())
"""That packet. RFC 9001, appendix A.2"""

SERVER_INITIAL = bytes.fromhex(
    "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c"
    "3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f5889"
    "1850abbdca3d20398c276456cbc42158407dd074ee"
)
"""RFC 9001, appendix A.3: an ACK without ECN counts, and a ServerHello."""

SERVER_INITIAL_V2 = bytes.fromhex(
    "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698baeea26b91eb761d9b89237bbf87263017915358230035f7fd"
    "3945d88965cf17f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2c984c707f0a0812d8cd5a6881eaf21ceda98"
    "f4bd23f6fe1a3e2c43edd9ce7ca84bed8521e2e140"
)
"""The same in version 2. RFC 9369, appendix A.3"""

RETRY_V1 = bytes.fromhex("ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba")
RETRY_V2 = bytes.fromhex("cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6")
"""RFC 9001, appendix A.4, and RFC 9369, appendix A.4"""


def varint(value):
    for exponent, limit in enumerate((6, 14, 30, 62)):
        if value < 1 << limit:
            return (value | exponent << limit).to_bytes(1 << exponent, "big")
    raise ValueError(value)


def ids(dcid, scid):
    return bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid


def long_header(kind, version, dcid=DCID, scid=b""):
    bits = (kind + 1) % 4 if version == V2 else kind
    return bytes([0xC0 | bits << 4]) + version.to_bytes(4, "big") + ids(dcid, scid)


def opaque(kind, version=V1, dcid=DCID, scid=b"", size=40):
    """A 0-RTT or Handshake packet of which nobody can tell more than the header."""
    return long_header(kind, version, dcid, scid) + varint(size) + bytes(at % 256 for at in range(size))


def negotiation(versions, dcid=b"", scid=DCID):
    return b"\x80" + bytes(4) + ids(dcid, scid) + b"".join(version.to_bytes(4, "big") for version in versions)


def short(spin=False, dcid=SERVER_ID, size=30):
    return bytes([0x60 if spin else 0x40]) + dcid + bytes(size)


def expand(secret, label, length):
    info = length.to_bytes(2, "big") + bytes([6 + len(label)]) + b"tls13 " + label.encode() + b"\0"
    return HKDFExpand(SHA256(), length, info).derive(secret)


def initial(
    frames, version=V1, *, dcid=DCID, scid=b"", key_id=None, server=False, number=0, token=b"", size=0
):
    """A protected Initial packet.

    :param key_id: connection id that the keys derive from; ``dcid`` if it is not given
    :param size: octets that the frames are padded to
    """
    extract = HMAC(bytes.fromhex(SALTS[version]), SHA256())
    extract.update(dcid if key_id is None else key_id)
    secret = expand(extract.finalize(), "server in" if server else "client in", 32)
    prefix = "quicv2 " if version == V2 else "quic "
    key, iv, hp = (expand(secret, prefix + use, length) for use, length in (("key", 16), ("iv", 12), ("hp", 16)))
    frames = frames.ljust(max(size, 4), b"\0")
    header = long_header(INITIAL, version, dcid, scid) + varint(len(token)) + token
    header = bytes([header[0] | 3]) + header[1:] + (0x4000 | 4 + len(frames) + 16).to_bytes(2, "big")
    number_at = len(header)
    header += number.to_bytes(4, "big")
    nonce = (int.from_bytes(iv, "big") ^ number).to_bytes(12, "big")
    sealed = AESGCM(key).encrypt(nonce, frames, header)
    mask = Cipher(algorithms.AES(hp), modes.ECB()).encryptor().update(sealed[:16])
    hidden = bytes(a ^ b for a, b in zip(header[number_at:], mask[1:5], strict=True))
    return bytes([header[0] ^ mask[0] & 0x0F]) + header[1:number_at] + hidden + sealed


def crypto(data, at=0):
    return b"\x06" + varint(at) + varint(len(data)) + data


def ack(*counts):
    """An ACK frame of one packet; with ECN counts if there are any."""
    return bytes([3 if counts else 2, 0, 0, 0, 0]) + b"".join(varint(count) for count in counts)


def vector(data, width):
    return len(data).to_bytes(width, "big") + data


def client_hello(sni=None, alpn=(), filler=0):
    """A ClientHello; ``filler``: octets of an extension that says nothing."""
    extensions = b""
    if filler:
        extensions += b"\xfe\x00" + vector(bytes(filler), 2)
    if sni is not None:
        extensions += b"\0\0" + vector(vector(b"\0" + vector(sni, 2), 2), 2)
    if alpn:
        extensions += b"\0\x10" + vector(vector(b"".join(vector(name, 1) for name in alpn), 2), 2)
    body = b"\3\3" + bytes(32) + b"\0" + vector(b"\x13\1", 2) + b"\1\0" + vector(extensions, 2)
    return b"\1" + vector(body, 3)
