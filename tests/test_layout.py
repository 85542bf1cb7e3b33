"""Each module has its test file: ``pathspider/x/y.py`` is covered by ``tests/x/test_y.py``."""

import unittest
from pathlib import Path

from tests import in_checkout

ROOT = Path(__file__).parents[1]
WITHOUT = {
    "version.py",  # one constant
    "lab/errors.py",  # one class without a body
    "campaign/errors.py",  # the same
    "campaign/exchange.py",  # types alone
    "run/experiment.py",  # types alone: mypy checks what is one
}
"""Modules in which nothing can go wrong at run time."""

DATA = {"lab/families"}
"""Packages of nothing but tables. Each row of the lab's is measured by tests/lab/test_check.py; where paths have hops,
each hop is asked by tests/lab/test_hops.py."""

NATIVE = {"table.pxi": "test_table.py", "views.pxi": "test_views.py", "capture.pxi": "test_sources.py",
          "decode.c": "test_decode.py", "link.c": "test_link.py", "tunnel.c": "test_tunnel.py",
          "tunnel.pxi": "test_tunnel.py", "esp.c": "test_esp.py", "source.c": "test_sources.py",
          "savefile.c": "test_savefile.py", "unpack.c": "test_unpack.py", "tap.c": "test_tap.py",
          "store.pxi": "test_store.py", "ndjson.pxi": "test_ndjson.py", "reassemble.c": "test_reassemble.py",
          "judged.pxi": "test_judged.py",
          "fragments.pxi": "test_reassemble.py", "address.c": "test_address.py", "record.pxi": "test_compiled.py"}
"""Parts of the native core, in pathspider/libtrace, and their test files in tests/libtrace."""


def modules() -> list[Path]:
    """Every module that holds code, by its path in the package."""
    package = ROOT / "pathspider"
    found = [path.relative_to(package) for path in sorted(package.rglob("*.py"))]
    return [path for path in found
            if path.as_posix() not in WITHOUT and path.parent.as_posix() not in DATA and path.name != "__init__.py"]


@in_checkout
class TestLayout(unittest.TestCase):
    def test_each_module_has_its_test_file(self):
        missing = [f"tests/{path.parent.as_posix()}/test_{path.name}" for path in modules()
                   if not (ROOT / "tests" / path.parent / f"test_{path.name}").is_file()]
        self.assertEqual(missing, [])

    def test_so_has_each_part_of_the_native_core(self):
        parts = {path.name for pattern in ("*.pxi", "*.c") for path in (ROOT / "pathspider/libtrace").glob(pattern)}
        self.assertEqual(parts - {"_core.c"}, set(NATIVE))  # that one is generated
        for name in NATIVE.values():
            self.assertTrue((ROOT / "tests/libtrace" / name).is_file(), name)

    def test_code_in_a_package_s_init_is_said_to_be_there(self):
        """A package's ``__init__`` names what is in it; one with functions of its own has a test file too."""
        for path in sorted((ROOT / "pathspider").rglob("__init__.py")):
            if "def " in path.read_text(encoding="utf-8"):
                package = path.parent.relative_to(ROOT / "pathspider")
                self.assertTrue((ROOT / "tests" / package.parent / f"test_{package.name}.py").is_file(), package)

    def test_every_exception_is_still_there(self):
        for name in WITHOUT | DATA:
            self.assertTrue((ROOT / "pathspider" / name).exists(), name)


if __name__ == "__main__":
    unittest.main()
