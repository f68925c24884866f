"""Runs the real daemon in a fresh interpreter up to a point, says what it holds, and is gone. No part of the package:
it is given to an interpreter by path, so that nothing of ours is loaded with it.

    probe.py CONFIG import MODULE PORT   up to the import of MODULE: prints whether PORT listens, then ends at once
    probe.py CONFIG idle SECONDS         that long after the start: prints the loaded modules as JSON, then ends at once
"""

import asyncio
import os
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path


class Tripwire(MetaPathFinder):
    """Ends the process where a module is imported for the first time."""

    def __init__(self, module: str, port: int) -> None:
        self._module = module
        self._port = f":{port:04X}"

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self._module:
            rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
            end("listening" if any(row[1].endswith(self._port) and row[3] == "0A" for row in rows) else "not listening")


def end(said: str) -> None:
    sys.stdout.write(said + "\n")
    sys.stdout.flush()
    os._exit(0)


def modules() -> None:
    import json

    end(json.dumps(sorted(sys.modules)))


async def run(config: object, idle_s: float) -> None:
    from routerd.daemon import Daemon

    if idle_s:
        asyncio.get_running_loop().call_later(idle_s, modules)
    await Daemon(config).run()  # type: ignore[arg-type]


def main(arguments: list[str]) -> None:
    from routerd.config import load

    path, mode, *rest = arguments
    if mode == "import":
        sys.meta_path.insert(0, Tripwire(rest[0], int(rest[1])))
    asyncio.run(run(load(Path(path)), float(rest[0]) if mode == "idle" else 0.0))


if __name__ == "__main__":
    main(sys.argv[1:])
