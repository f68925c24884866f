"""routerd whose Commander link lives its minutes in half a second: `python -m scripts.bench.minutes run --config FILE`.

All of it is the real daemon; only the pace of that one link is another. Between two polls everything has time to be
sealed, sent and acknowledged, in the real time of the spool and the forwarder.
"""

import asyncio
import sys

from routerd import daemon
from routerd.capture.commander import transport

REST_S = 0.5  # a segment is sealed after 0.25 s and acknowledged soon after


class Minutes:
    """Any sleep lasts REST_S, and was as long as it was asked to be. An answer takes no time at all."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(REST_S)
        self._now_s += seconds


if __name__ == "__main__":
    transport.LoopPace = Minutes
    sys.exit(daemon.main())
