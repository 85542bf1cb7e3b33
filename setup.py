"""Build and package PATHspider.

Nothing of ours is imported here: the version is read as text, so that the build works before anything is installed.
"""

import ast
import os
import re
import shutil
from hashlib import sha256
from pathlib import Path

from setuptools import Extension, find_namespace_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
TWINS = Path("build", "compiled-chains")


def version():
    """The one place that holds the version is ``pathspider/version.py``."""
    text = (HERE / "pathspider" / "version.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE).group(1)


def requirements(name):
    """The requirement lines of a file beside this one; comments and blank lines left out."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line for line in (raw.split("#")[0].strip() for raw in lines) if line]


def has_libtrace():
    """True where libtrace's headers are installed; without them, only libpcap serves packet sources."""
    if os.environ.get("PATHSPIDER_WITHOUT_LIBTRACE"):
        return False
    include = os.environ.get("LIBTRACE_INCLUDE", "/usr/include:/usr/local/include").split(":")
    return any((Path(folder) / "libtrace.h").exists() for folder in include)


def extensions():
    """The native core: one extension a ``.pyx`` in ``pathspider/libtrace``."""
    from Cython.Build import cythonize  # noqa: PLC0415 - needed to build, not to read the metadata

    libtrace = has_libtrace()
    if not libtrace:
        print("pathspider: libtrace.h not found: building without libtrace; its URIs (erf:, ring:, ...) will be off")
    room = Path("pathspider", "libtrace")
    native = sorted(str(room / path.name) for path in (HERE / room).glob("*.c") if not path.name.startswith("_"))
    included = [str(room / path.name) for end in ("h", "pxi", "pxd") for path in (HERE / room).glob(f"*.{end}")]
    modules = compiled_chains() + [
        Extension(
            f"pathspider.libtrace.{source.stem}",
            [str(source.relative_to(HERE)), *native],
            depends=included,
            libraries=["pcap"] + (["trace"] if libtrace else []),
            define_macros=[("PATHSPIDER_HAVE_LIBTRACE", "1" if libtrace else "0")],
            extra_compile_args=["-fno-strict-aliasing"],
            extra_link_args=["-pthread"],
        )
        for source in sorted((HERE / "pathspider" / "libtrace").glob("*.pyx"))
    ]
    return cythonize(modules, compiler_directives={"language_level": 3, "annotation_typing": False},
                     include_path=[str(TWINS), "."])


def compiled_chains():
    """Twins of the chains that have a ``.pxd`` beside them, compiled from the same files.

    They get a package of their own, so that they never shadow the plain files: who imports or edits a chain has the
    plain one. ``pathspider.libtrace.compiled`` uses a twin only while its source is what it was compiled from.
    """
    if os.environ.get("PATHSPIDER_PURE_CHAINS"):
        return []
    chains, twins = Path("pathspider", "chains"), TWINS.joinpath("pathspider", "libtrace", "compiled")
    (HERE / twins).mkdir(parents=True, exist_ok=True)
    for package in (twins, *twins.parents[:2]):
        write_changed(HERE / package / "__init__.py", "")
    modules = []
    for types in sorted((HERE / chains).glob("*.pxd")):
        digest = sha256((HERE / chains / f"{types.stem}.py").read_bytes()).hexdigest()
        declared = types.read_text(encoding="utf-8").replace("pathspider.chains.", "pathspider.libtrace.compiled.")
        typed = {name for names in re.findall(r"cimport (.+)", declared) for name in names.split(", ")}
        tree = unannotated((HERE / chains / f"{types.stem}.py").read_text(encoding="utf-8"), typed)
        text, names = with_places(tree)
        if names:
            declared += "\nfrom pathspider.libtrace._core cimport note, noted\n"
            declared += f"cdef int {', '.join(PLACE + name for name in names)}\n"
            text += "\nfrom pathspider.libtrace._core import place\n"
            text += "".join(f"{PLACE}{name} = place({name!r})\n" for name in names)
        write_changed(HERE / twins / types.name, declared)
        write_changed(HERE / twins / f"{types.stem}.py", f'{text}\n\nSOURCE_DIGEST = "{digest}"\n')
        modules.append(Extension(f"pathspider.libtrace.compiled.{types.stem}", [str(twins / f"{types.stem}.py")],
                                 include_dirs=[str(Path("pathspider", "libtrace"))],
                                 extra_compile_args=["-fno-strict-aliasing", "-Wno-unused-function"]))
    return modules


def unannotated(text, typed):
    """A module's syntax tree, without annotations and the imports of the names ``typed``, which its ``.pxd`` cimports.

    Types come from the ``.pxd`` alone, and Cython before 3 does not know postponed annotations (:pep:`563`).
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(getattr(node, "body", None), list):
            node.body = [plain for part in node.body if (plain := _without_types(part, typed)) is not None]
    return tree


PLACE = "_place_of_"
"""What a place's name begins with, in a twin."""


def with_places(tree):
    """A chain's source in which fields of ``rec`` that are named by a constant, or by either of two, are found by their
    place; their names."""
    names = {}

    class Places(ast.NodeTransformer):
        """``rec["x"]`` becomes ``noted(rec, _place_of_x, "x")``, ``rec["x"] = v`` becomes ``note(…, v)``."""

        def visit_Subscript(self, node):
            self.generic_visit(node)
            return call("noted", node) if is_field(node) and isinstance(node.ctx, ast.Load) else node

        def visit_AugAssign(self, node):
            node.value = self.visit(node.value)
            if not is_field(node.target):
                return node
            return ast.Expr(call("note", node.target, ast.BinOp(call("noted", node.target), node.op, node.value)))

        def visit_Assign(self, node):
            node.value = self.visit(node.value)
            if len(node.targets) == 1 and is_field(node.targets[0]):
                return ast.Expr(call("note", node.targets[0], node.value))
            fields = []
            node.targets = [without_fields(target, fields) for target in node.targets]
            return [node, *(ast.Expr(call("note", field, value)) for field, value in fields)]

    def is_field(node):
        if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "rec"):
            return False
        name = node.slice
        return isinstance(name, ast.Constant) or (isinstance(name, ast.IfExp) and isinstance(name.body, ast.Constant)
                                                  and isinstance(name.orelse, ast.Constant))

    def place(name):
        if isinstance(name, ast.IfExp):
            return ast.IfExp(name.test, place(name.body), place(name.orelse))
        names[name.value] = True
        return ast.Name(PLACE + name.value)

    def call(function, field, *value):
        return ast.Call(ast.Name(function), [ast.Name("rec"), place(field.slice), field.slice, *value], [])

    def without_fields(target, fields):
        """A target of an assignment with names in the place of fields, which get their values behind it."""
        if isinstance(target, ast.Tuple):
            target.elts = [without_fields(part, fields) for part in target.elts]
        elif is_field(target):
            name = ast.Name(f"_value_{len(fields)}")
            fields.append((target, name))
            return name
        return target

    return ast.unparse(ast.fix_missing_locations(Places().visit(tree))), list(names)


def _without_types(node, typed):
    """A statement without what is there for type checkers alone; None if nothing is left."""
    if isinstance(node, ast.AnnAssign):
        return node.value and ast.Assign([node.target], node.value)
    if isinstance(node, ast.ImportFrom):
        if (node.module or "").startswith("pathspider."):
            node.names = [name for name in node.names if name.name not in typed | {"IP", "IP6", "TCP", "UDP"}]
        if node.module == "__future__" or not node.names:
            return None
    return node


def write_changed(path, text):
    """Leaves a file alone that is as it should be: then nothing is compiled again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


class BuildWithTests(build_py):
    """Puts the test suite into what is installed, for ``pspdr test``; an editable installation has it beside it."""

    def run(self):
        super().run()
        if not getattr(self, "editable_mode", False):
            shutil.copytree(HERE / "tests", Path(self.build_lib, "pathspider", "suite", "tests"), dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("__pycache__"))


setup(
    name="pathspider",
    version=version(),
    description="Active measurement of Internet path transparency",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-2.0-or-later",
    python_requires=">=3.11",
    cmdclass={"build_py": BuildWithTests},
    packages=find_namespace_packages(include=["pathspider", "pathspider.*"]),
    package_data={"pathspider": ["py.typed", "templates/*.in"], "pathspider.libtrace": ["*.pyi", "*.pxd"],
                  "pathspider.chains": ["*.pxd"], "pathspider.schemas": ["*.json"],
                  "pathspider.report": ["*.css", "*.js"]},
    ext_modules=extensions(),
    install_requires=requirements("requirements.txt"),
    extras_require={"analysis": ["duckdb"],  # of examples/analyse.py
                    "mmdb": ["maxminddb>=2.2"],  # of --prefixes: databases in MaxMind's format
                    "campaign": ["pika>=1.2.0"],  # of campaigns with a broker
                    "anonymise": ["cryptography>=38"],  # of pspdr export --anonymise: AES
                    "parquet": ["pyarrow"],  # of pspdr export --format parquet
                    "quic": ["cryptography>=38",  # of the chain quic: what Initial packets say
                             "aioquic>=1.7.2"]},  # of the plugin quic
    entry_points={"console_scripts": ["pspdr = pathspider.cmd.main:main"]},
    classifiers=[
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Cython",
        "Programming Language :: Python :: 3",
        "Topic :: Internet",
        "Topic :: System :: Networking :: Monitoring",
    ],
)
