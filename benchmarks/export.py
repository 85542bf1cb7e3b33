"""How fast is ``pspdr export``, and how much memory does it take? Beside parsing each line of the same file with json.

Makes one result file of a million ECN records (seeded, as benchmarks/report.py does), and writes it in each format.
Prints wall and CPU time, peak memory and the size of what was made. The limits for Parquet, on two cores that do
nothing else, are 20 s and 500 MB; ``--check`` ends with status 1 beyond these.

``make bench``, or ``.venv/bin/python benchmarks/export.py [--records N] [--json FILE] [--check]``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

from figures import PSPDR, add_json, note, timed, write_figures
from report import PARSE, record

LIMIT_SECONDS, LIMIT_MIB = 20.0, 500 / 1.048576


def tell(what: str, figure: dict[str, float]) -> None:
    made = f", makes {figure['MiB']:.0f} MiB" if "MiB" in figure else ""
    print(f"{what}: {figure['wall']:.1f} s wall, {figure['cpu']:.1f} s CPU, {figure['memory']:.0f} MiB{made}",
          flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=1_000_000, help="records of the file (default: a million)")
    add_json(parser)
    parser.add_argument("--check", action="store_true", help="fail where Parquet takes more than it may")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), random.Random(7)
        source, key = folder / "records.ndjson", folder / "key"
        with source.open("w", encoding="ascii") as stream:
            stream.writelines(json.dumps(record(number, rng)) + "\n" for number in range(args.records))
        key.write_text("5a" * 32, encoding="ascii")
        figures = {"json.loads": timed([sys.executable, "-c", PARSE, str(source)])}
        tell("json.loads", figures["json.loads"])
        for what, options in {"parquet": [], "sqlite": [], "csv": [], "pto": [],
                              "parquet, anonymised": ["--anonymise", str(key)]}.items():
            output = folder / "output"
            figures[what] = timed([*PSPDR, "export", str(source), "--format", what.partition(",")[0], "--force",
                                   "--output", str(output), *options])
            figures[what]["MiB"] = output.stat().st_size / 2**20
            tell(what, figures[what])
    for what, figure in figures.items():
        note(what if what == "json.loads" else f"export, {what}", **figure)
    write_figures(args.json)
    parquet = figures["parquet"]
    too_much = parquet["wall"] > LIMIT_SECONDS or parquet["memory"] > LIMIT_MIB
    return int(args.check and too_much)


if __name__ == "__main__":
    sys.exit(main())
