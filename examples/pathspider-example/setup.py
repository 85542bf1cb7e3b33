"""The modules alone are installed: the __init__.py files beside them belong to PATHspider, and stay when this goes."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
MODULES = [path for room in ("plugins", "chains") for path in (HERE / "pathspider" / room).glob("[!_]*.py")]


class ModulesAlone(build_py):
    """setuptools adds the __init__.py of the packages that modules are in."""

    def find_modules(self):
        return [module for module in super().find_modules() if module[1] != "__init__"]


setup(
    name="pathspider-example",
    version="0.1.0",
    description="PATHspider plugins",
    py_modules=[".".join(path.relative_to(HERE).with_suffix("").parts) for path in MODULES],
    cmdclass={"build_py": ModulesAlone},
    install_requires=["pathspider>=3.dev0"],  # PyPI may have an older one, with another API
)
