"""The simulated POS, selling live to a source, and what it says it handed over."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.bench.stack import Source

_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Handed:
    """One record whose last byte was handed to the line at `wall_ms`."""

    identity: str
    size: int
    wall_ms: int


def sell(till: Source, truth: Path, *, rate: float, seconds: float, noise: float = 0.0) -> list[Handed]:
    """Sell Commander tickets at random moments, `rate` a second on average, and wait for the end."""
    command = [sys.executable, "-m", "scripts.pos", "sell", "--xml-tcp", f"127.0.0.1:{till.port}"]
    command += ["--rate", str(rate), "--seconds", str(seconds), "--poisson", "--noise", str(noise)]
    subprocess.run(
        [*command, "--truth", str(truth)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=seconds + _GRACE_S,
    )
    lines = [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]
    return [Handed(line["identity"], line["bytes"], line["wall_ms"]) for line in lines if line["type"] == "ticket"]
