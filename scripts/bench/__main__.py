"""`make bench`."""

import argparse
import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from routerd import __version__
from scripts.bench.cases import CASES, Run, measure
from scripts.bench.stack import compiled
from scripts.bench.table import document, render

OUT = Path("out")
_EPILOG = """\
Exit status: 0 all was measured, whether or not the targets are met; 1 a measurement broke; 2 usage.
The flash measurements need root for a loop device; without, they count by the spool's own counter and say so.
Numbers from a busy machine: trust the ratios, run again for the rest.
"""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.list:
        width = max(len(case.name) for case in CASES)
        print("\n".join(f"{case.name.ljust(width)}  {case.about}" for case in CASES))
        return 0
    chosen = [case for case in CASES if not arguments.only or case.name in arguments.only]
    began = datetime.now(UTC)
    with _scratch() as scratch:
        results = []
        for case in chosen:
            _say(f"{case.name}: {case.about}")
            results.append(measure(case, Run(arguments.quick, scratch)))
    print(render(results), end="")
    about = {"began": began.isoformat(timespec="seconds"), "quick": arguments.quick, **_machine()}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(document(results, about), indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {arguments.json}")
    return 1 if any(result.error for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench",
        description="Measure what routerd promises, each beside a bound of the same run, and print one table.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [case.name for case in CASES]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="this one; may be repeated")
    parser.add_argument("--quick", action="store_true", help="about a tenth of the work: a smoke test, not a figure")
    parser.add_argument("--list", action="store_true", help="say what can be measured, and stop")
    parser.add_argument("--json", type=Path, default=OUT / "bench.json", help="where to write (default %(default)s)")
    return parser


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder on the disk the repository is on: /tmp may be RAM, where a spool would refuse to live."""
    OUT.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=OUT)).resolve()
    compiled(folder / "pyc")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _machine() -> dict[str, Any]:
    return {
        "routerd": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
