"""M4: from the first instruction to capturing; and what an idle daemon holds that the footprint rules forbid."""

import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.bench import recordings
from scripts.bench.cases import Run
from scripts.bench.stack import Cloud, Router, source
from scripts.bench.table import AT_MOST, Beside, Row, Target, missing

_M4 = Target("M4", AT_MOST, 700)
_NONE = Target("§12", AT_MOST, 0)
_PROBE = Path(__file__).with_name("probe.py")
_FORBIDDEN = ("email", "urllib.request", "unittest", "aiohttp.web", "zeroconf", "tomllib", "argparse", "http.client")
_NETWORK_HALF, _ALL_IMPORTED = "routerd.cloud", "routerd.forward.forwarder"  # what the daemon imports, in this order
_VALGRIND_S, _IDLE_S = 180.0, 3.0
_REFS = re.compile(r"I +refs: +([\d,]+)")


def measure(run: Run) -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="start-", dir=run.scratch))
    cloud = Cloud(folder / "cloud")
    till = source("till", recordings.COMMANDER)
    router = Router(folder, cloud, [till])
    try:
        cloud.start()
        router.start()  # makes the ring, which a router does once in its life, and the .pyc files
        router.halt()
        return [*_starts(run, router.config, till.port), *_modules(router.config)]
    finally:
        router.stop()
        cloud.stop()


def _starts(run: Run, config: Path, port: int) -> list[Row]:
    capturing = ("start until the network half is imported", "import", _NETWORK_HALF, str(port))
    complete = ("start until all is imported", "import", _ALL_IMPORTED, str(port))
    counts = shutil.which("valgrind") is not None and not run.quick
    beside = (Beside("python -c pass", _instructions(None, [])),) if counts else ()
    rows = []
    for (what, *words), target in ((capturing, _M4), (complete, None)):
        cpu_ms, said = _cpu(config, words)
        said = f"at that point the source is {said}"
        if not counts:
            why = "a quick run" if run.quick else "valgrind is not installed"
            rows.append(Row(what, cpu_ms, "CPU ms", note=f"{said}; no instructions counted: {why}"))
            continue
        count = _instructions(config, words)
        rows.append(Row(what, count, "M instr", beside, target, f"{said}; {cpu_ms:.0f} ms of CPU without valgrind"))
    return rows


def _cpu(config: Path, words: list[str]) -> tuple[float, str]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = _probe([], config, words).stdout.strip()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3, said


def _instructions(config: Path | None, words: list[str]) -> float:
    """Millions of user instructions, by cachegrind."""
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    if config is None:
        done = subprocess.run(
            [*tool, sys.executable, "-c", "pass"], capture_output=True, text=True, timeout=_VALGRIND_S
        )
    else:
        done = _probe(tool, config, words)
    found = _REFS.search(done.stderr)
    if not found:
        raise RuntimeError(f"cachegrind counted nothing: {done.stderr[-300:]}")
    return int(found[1].replace(",", "")) / 1e6


def _probe(before: list[str], config: Path, words: list[str]) -> "subprocess.CompletedProcess[str]":
    command = [*before, sys.executable, "-P", str(_PROBE), str(config), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_VALGRIND_S)


def _modules(config: Path) -> list[Row]:
    loaded = set(json.loads(_probe([], config, ["idle", str(_IDLE_S)]).stdout))
    if _ALL_IMPORTED not in loaded:
        return [missing("modules that an idle daemon must not hold", "the daemon did not get as far as forwarding")]
    held = [name for name in _FORBIDDEN if name in loaded]
    note = f"{', '.join(held) or 'none'}; {len(loaded)} are loaded in all"
    return [Row("modules an idle daemon should not hold", len(held), "", target=_NONE, note=note)]
