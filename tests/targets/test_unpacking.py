"""What files are packed in, and what is left of damaged ones."""

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import threading
import tracemalloc
import unittest
import zipfile

import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pathspider.targets.unpacking import CHUNK, Text

LINES = [b"192.0.2.%d,%d,www%d.example.org\n" % (number % 256, number % 60000 + 1, number * 7919)
         for number in range(9000)]
PLAIN = b"".join(LINES)


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


class TestBinary(unittest.TestCase):
    def test_what_is_no_text_stays_as_it_is_and_begins_in_one_piece(self):
        class Slow(io.BytesIO):
            def read1(self, size=-1):
                return self.read(min(size, 3))

        octets = bytes(range(256)) * 4
        for content in (octets, gzip.compress(octets)):
            text = Text(Slow(content), binary=True)
            self.assertGreaterEqual(len(text.peek(1)), 512)
            self.assertEqual(text.read(12), octets[:12])
            self.assertEqual(text.read(9999), octets[12:])
            self.assertIsNone(text.error)
        self.assertEqual(Text(Slow(b"ab"), binary=True).peek(1), b"ab")


class Pipe(io.RawIOBase):
    """Chunks, and no going back."""

    def __init__(self, data, size):
        super().__init__()
        self.chunks = (data[at:at + size] for at in range(0, len(data), size))

    def readable(self):
        return True

    def readinto(self, buffer):
        chunk = next(self.chunks, b"")
        buffer[:len(chunk)] = chunk
        return len(chunk)


PACKED = {
    "gzip": gzip.compress(PLAIN),
    "bzip2": bz2.compress(PLAIN),
    "xz": lzma.compress(PLAIN),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress(PLAIN),
    "zip": zipped(("top.csv", PLAIN)),
    "zip, stored": zipped(("top.csv", PLAIN), method=zipfile.ZIP_STORED),
    "zip, with folders": zipped(("lists/", b""), ("lists/top.csv", PLAIN)),
    "zip, of macOS": zipped(("top.csv", PLAIN), ("__MACOSX/", b""), ("__MACOSX/._top.csv", b"\0\5\x16\7" * 99)),
}


def read(data, size=None):
    text = Text(io.BytesIO(data) if size is None else Pipe(data, size))
    lines = list(iter(text.readline, b""))
    return b"".join(lines), text


class TestPackings(unittest.TestCase):
    def test_content_tells(self):
        for name, packed in PACKED.items():
            for size in (None, 1 if name == "gzip" else 7):
                with self.subTest(name, size=size):
                    found, text = read(packed, size)
                    self.assertEqual(found, PLAIN)
                    self.assertIsNone(text.error)
                    self.assertFalse(text.as_it_is)
                    self.assertEqual(text.position, len(packed))

    def test_several_one_after_another_and_padding(self):
        for name, padding in (("gzip", 512), ("xz", 4), ("bzip2", 0), ("zstd", 0)):
            with self.subTest(name):
                found, text = read(PACKED[name] * 2 + bytes(padding), 99)
                self.assertEqual((found, text.error), (PLAIN * 2, None))

    def test_what_is_packed_is_looked_at_too(self):
        self.assertEqual(read(gzip.compress(PACKED["xz"]))[0], PLAIN)
        found, text = read(gzip.compress(PLAIN.decode().encode("utf-16")))
        self.assertEqual((found, text.error), (PLAIN, None))
        deep = PLAIN
        for _ in range(5):
            deep = gzip.compress(deep)
        self.assertIn("packed more than 3 times", str(read(deep)[1].error))

    def test_what_is_cut_off_loses_nothing_before(self):
        for name, packed in PACKED.items():
            with self.subTest(name):
                found, text = read(packed[:len(packed) // 2])
                self.assertTrue(PLAIN.startswith(found))
                self.assertIn(f"cut off after {len(packed) // 2} octets", str(text.error))
                if name != "bzip2":  # of which a block is all or nothing
                    self.assertGreater(len(found), len(PLAIN) // 4)

    def test_what_is_damaged_is_named_with_its_place(self):
        for name, packed in PACKED.items():
            at = len(packed) // 2
            with self.subTest(name):
                found, text = read(packed[:at] + random.Random(7).randbytes(64) + packed[at + 64:])
                self.assertRegex(str(text.error), "binary" if name == "bzip2" else "damaged|cut off")
                if "stored" not in name:
                    self.assertNotEqual(found, PLAIN)

    def test_what_comes_before_the_damage_is_there(self):
        blocks = gzip.compress(PLAIN) + gzip.compress(PLAIN)[:-8] + b"12345678"  # the check sum is another
        found, text = read(blocks)
        self.assertEqual(found[:len(PLAIN)], PLAIN)
        self.assertGreater(len(found), 2 * len(PLAIN) - 8000)
        self.assertIn("damaged before octet", str(text.error))
        found, text = read(gzip.compress(PLAIN) + b"precious")
        self.assertEqual(found, PLAIN)
        self.assertIn("something else follows", str(text.error))

    def test_zip_archives_that_cannot_be_read(self):
        two = zipped(("a.csv", PLAIN), ("b.csv", b"1"))
        found, text = read(two)
        self.assertEqual(found, PLAIN)
        self.assertRegex(str(text.error), "beside 'a.csv', such as 'b.csv'")
        self.assertIn("a spreadsheet", str(read(zipped(("[Content_Types].xml", b"")))[1].error))
        self.assertIn("method 12", str(read(zipped(("a", b"1"), method=zipfile.ZIP_BZIP2))[1].error))
        self.assertIn("without a file", str(read(zipped(("a/", b"")))[1].error))
        crypt = bytearray(zipped(("a", b"1")))
        crypt[6] |= 1
        self.assertIn("encrypted", str(read(bytes(crypt))[1].error))
        wrong = bytearray(PACKED["zip, stored"])
        wrong[1000] ^= 1
        self.assertIn("check sum", str(read(bytes(wrong))[1].error))

    def test_a_zip_archive_that_was_written_to_a_pipe(self):
        reading, writing = os.pipe()

        def write():
            with os.fdopen(writing, "wb") as pipe, zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("top.csv", PLAIN)

        thread = threading.Thread(target=write)
        thread.start()
        with os.fdopen(reading, "rb") as pipe:
            text = Text(pipe)
            self.assertEqual(b"".join(iter(text.readline, b"")), PLAIN)
        thread.join()
        self.assertIsNone(text.error)

    def test_padding_takes_no_memory(self):
        padded = io.BytesIO(gzip.compress(b"last\n") + bytes(50_000_000) + gzip.compress(b"more\n"))
        tracemalloc.start()
        try:
            text = Text(padded)
            self.assertEqual([text.readline(), text.readline(), text.readline()], [b"last\n", b"more\n", b""])
            self.assertLess(tracemalloc.get_traced_memory()[1], 5_000_000)
        finally:
            tracemalloc.stop()

    def test_a_bomb_takes_no_memory(self):
        zeros = bytes(50_000_000)
        bombs = [gzip.compress(zeros), bz2.compress(zeros), lzma.compress(zeros), zstandard.compress(zeros)]
        del zeros
        for bomb in bombs:
            text = Text(io.BytesIO(gzip.compress(b"\n") + bomb if bomb[:2] == b"\x1f\x8b" else bomb))
            tracemalloc.start()
            try:
                while text.readline(CHUNK):
                    pass
                self.assertLess(tracemalloc.get_traced_memory()[1], 25_000_000)
            finally:
                tracemalloc.stop()


class TestEncodings(unittest.TestCase):
    def test_marks_and_none(self):
        text = 'naïve ☃ 1\n{"dip": 2}\r\n'
        for encoding in ("utf-16", "utf-32", "utf-16-le", "utf-16-be"):
            data = ("1,2,3,4\n" * 99 + text).encode(encoding)
            if encoding.endswith("be"):
                data = b"\xfe\xff" + data
            for size in (None,) if encoding == "utf-16-le" else (None, 1, 3):  # without a mark, two characters tell
                with self.subTest(encoding, size=size):
                    self.assertEqual(read(data, size)[0].decode(), "1,2,3,4\n" * 99 + text)

    def test_what_is_no_character_costs_its_line(self):
        data = "a\n".encode("utf-16") + b"\x00\xd8" + "x\nb\n".encode("utf-16-le") + b"c"
        lines = read(data)[0].split(b"\n")
        self.assertEqual((lines[0], lines[2]), (b"a", b"b"))
        for line in (lines[1], lines[3]):
            with self.assertRaises(UnicodeDecodeError):
                line.decode()

    def test_all_of_it(self):
        self.assertEqual(Text(io.BytesIO(b"\xef\xbb\xbfa\nb")).all(), "a\nb")
        with self.assertRaisesRegex(ValueError, "cut off"):
            Text(io.BytesIO(PACKED["gzip"][:-9])).all()


class TestForeign(unittest.TestCase):
    def test_what_is_something_else(self):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("list.csv"))
        for data, says in ((tar.getvalue(), "tar archive"), (gzip.compress(tar.getvalue()), "tar archive"),
                           (b"\xd4\xc3\xb2\xa1" + bytes(20), "pspdr observe"), (b"\n\r\r\n" + bytes(20), "observe"),
                           (b"\xd0\xcf\x11\xe0" + bytes(20), "spreadsheet"), (b"%PDF-1.7\n", "PDF"),
                           (b"SQLite format 3\0" + bytes(80), "SQLite"), (b"7z\xbc\xaf\x27\x1c", "7z"),
                           (b"\n <!DOCTYPE html>\n<html>", "HTML"), (b"\xef\xbb\xbf<?xml version", "XML"),
                           (random.Random(1).randbytes(9999), "binary")):
            with self.subTest(says):
                found, text = read(data)
                self.assertEqual(found, b"")
                self.assertIn(says, str(text.error))

    def test_text_with_a_damaged_line_is_text(self):
        data = b'{"dip": "192.0.2.1"}\n' * 9 + b"\0\0\0\n" + b"1" * 999
        self.assertEqual(read(data)[0], data)

    @given(st.binary() | st.tuples(st.sampled_from([*PACKED.values()]), st.integers(0, 99999), st.binary()).map(
        lambda parts: parts[0][:parts[1] % len(parts[0])] + parts[2]), st.sampled_from([None, 1, 5]))
    def test_nothing_raises(self, data, size):
        found, text = read(data[:3000], size)
        if text.as_it_is and text.error is None:
            self.assertEqual(found, data[:3000])
        self.assertEqual(text.readline(), b"")


class TestAsItComes(unittest.TestCase):
    def test_a_line_is_there_when_it_has_come(self):
        for pack in (lambda line: line, None):
            reading, writing = os.pipe()
            self.addCleanup(os.close, writing)
            with os.fdopen(reading, "rb") as pipe:
                compressor = zstandard.ZstdCompressor().compressobj()
                for line in LINES[:3]:
                    os.write(writing, pack(line) if pack else compressor.compress(line) + compressor.flush(
                        zstandard.COMPRESSOBJ_FLUSH_BLOCK))
                    if line is LINES[0]:
                        text = Text(pipe)
                    self.assertEqual(text.readline(), line)

    def test_reading_fails(self):
        class Broken(Pipe):
            def readinto(self, buffer):
                if not (octets := super().readinto(buffer)):
                    raise OSError(5, "Input/output error")
                return octets

        text = Text(Broken(b"a\nb\n", 4))
        self.assertEqual([text.readline(), text.readline(), text.readline()], [b"a\n", b"b\n", b""])
        self.assertIn("Input/output error", str(text.error))
        self.assertIn("Input/output error", str(Text(Broken(b"", 4)).error))
