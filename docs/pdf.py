"""Print the documentation, built as a single page, with Debian's chromium: ``pdf.py PAGE PDF``.

It is printed twice: where the pages of its list of contents begin is known after the first time (``pdfinfo -dests``).
"""

import re
import subprocess
import sys
from pathlib import Path

CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", "--log-level=3",
            "--generate-pdf-document-outline"]


BEGINNING = re.compile(r'(<span id="document-[^"]*"></span>)'
                       r'((?:\s*<(?:section|span) [^>]*>(?:</span>)?)*\s*)(<h\d[^>]*>)')
"""A page's mark, and its heading: the mark goes into that, or it stays on a sheet whose foot the heading leaves."""


def printed(page: Path, pdf: Path) -> None:
    command = [*CHROMIUM, f"--print-to-pdf={pdf}", page.as_uri()]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode or not pdf.exists():
        raise SystemExit(f"chromium did not print {page} (status {done.returncode}):\n{done.stderr}")


def page_numbers(pdf: Path) -> dict[str, str]:
    """The number of the sheet on which each page of the documentation begins, by its name."""
    listed = subprocess.run(["pdfinfo", "-dests", pdf], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name: number for number, name in re.findall(r'^ *(\d+) .*"document-(.*)"$', listed, re.MULTILINE)}


def main() -> None:
    page, pdf = (Path(name).resolve() for name in sys.argv[1:])
    pdf.unlink(missing_ok=True)
    text = BEGINNING.sub(r"\2\3\1", page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")
    printed(page, pdf)
    numbers = page_numbers(pdf)
    filled = re.sub(r'(?<= data-page=")([^"]+)">[0-9]*', lambda match: f'{match[1]}">{numbers[match[1]]}', text)
    page.write_text(filled, encoding="utf-8")
    printed(page, pdf)
    if page_numbers(pdf) != numbers:
        raise SystemExit(f"{pdf}: the page numbers moved while they were filled in")


main()
