"""Asks everything at once and waits for nobody too long."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Probe = Callable[[], Awaitable[Mapping[str, Any]]]


async def gather(probes: Mapping[str, Probe], within_s: float) -> tuple[dict[str, Any], list[str]]:
    """(facts by probe, the names of those that failed or took longer). What hangs is cancelled, not waited for.

    A probe answers for the part of the health document it is named after; it raises OSError when it cannot.
    """
    if not probes:
        return {}, []
    tasks = {name: asyncio.ensure_future(probe()) for name, probe in probes.items()}
    await asyncio.wait(tasks.values(), timeout=within_s)
    facts: dict[str, Any] = {}
    missed = []
    for name, task in tasks.items():
        if not task.done():
            task.cancel()
            missed.append(name)
        elif isinstance(exc := task.exception(), OSError):
            missed.append(name)
        elif exc is not None:
            raise exc
        else:
            facts[name] = task.result()
    return facts, missed
