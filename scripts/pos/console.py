"""Orders from standard input, one a line."""

import asyncio
import sys
from collections.abc import AsyncIterator


async def orders() -> AsyncIterator[list[str]]:
    """The words of each line until standard input ends; an empty line is no order."""
    reader, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            if words := line.decode("utf-8", "replace").split():
                yield words
    finally:
        transport.close()
