"""The room: a Unix socket that answers questions."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from routerd.errors import PermanentError

log = logging.getLogger("routerd.control")

_MAX_LINE = 64 << 10  # requests are a few words
_DEADLINE_S = 10.0  # a client that says nothing holds no connection

Views = Mapping[str, Callable[[], Any]]


class Control:
    """`views` maps what can be asked to what answers it; each answer must be plain data."""

    def __init__(self, path: Path, views: Views) -> None:
        self._path = path
        self._views = views

    async def listen(self) -> asyncio.Server:
        """Start serving. Raises PermanentError if the socket cannot be made."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.remove()
            mask = os.umask(0o177)  # the socket is ours alone from its first moment
            try:
                return await asyncio.start_unix_server(self._serve, self._path, limit=_MAX_LINE)
            finally:
                os.umask(mask)
        except OSError as exc:
            reason = f"{self._path}: {exc.strerror}: set [control] socket to a path routerd may write"
            raise PermanentError("control.socket", reason) from exc

    def remove(self) -> None:
        """Take the socket away; a file that is no socket is somebody else's and stays."""
        if self._path.is_socket():
            self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                answer = self.answer(await reader.readline())
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError) as exc:
            log.debug("a request was not finished: %s", exc)
        finally:
            writer.close()

    def answer(self, line: bytes) -> dict[str, Any]:
        """`{"ask": name}` -> `{"answer": …}` or `{"error": …}`."""
        try:
            asked = json.loads(line)["ask"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"error": 'say {"ask": "status"} in one line'}
        view = self._views.get(asked) if isinstance(asked, str) else None
        if view is None:
            return {"error": f"{asked!r} is not known: ask for one of {', '.join(self._views)}"}
        return {"answer": view()}
