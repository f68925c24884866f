"""Blocking calls that may never return, kept off the loop and out of the way of the daemon's end.

A dead network share holds a call for minutes or for ever. The loop's own executor would wait for it when the daemon
stops; a daemon thread of its own does not.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

MAX_HANGING = 4  # threads given up on one dead share: enough to see that a new mount took its place


class Aside:
    def __init__(self, answer_s: float) -> None:
        self._answer_s = answer_s
        self._running = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. TimeoutError when it takes longer than `answer_s`, or too many hang already.

        Work that was given up or cancelled runs on, and its result is dropped: it must hold nothing.
        """
        if self._running >= MAX_HANGING:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, fault: BaseException | None) -> None:
            self._running -= 1
            if done.done():
                return
            if fault:
                done.set_exception(fault)
            else:
                done.set_result(result)  # type: ignore[arg-type]

        def carry() -> None:
            result: T | None = None
            fault: BaseException | None = None
            try:
                result = work()
            except BaseException as exc:  # whoever awaits it gets it, a bug too
                fault = exc
            with suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits
                loop.call_soon_threadsafe(settle, result, fault)

        self._running += 1
        threading.Thread(target=carry, name="aside", daemon=True).start()
        async with asyncio.timeout(self._answer_s):
            return await done
