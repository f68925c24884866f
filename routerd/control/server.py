"""The room: a Unix socket that answers questions."""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from routerd.errors import PermanentError, RouterdError

log = logging.getLogger("routerd.control")

_MAX_LINE = 64 << 10  # requests are a few words
_DEADLINE_S = 10.0  # a client that says nothing holds no connection
_ACTION_S = 120.0  # an action may have to ask a slow POS first

Views = Mapping[str, Callable[[], Any]]
Actions = Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]


class Control:
    """`views` maps what can be asked to what answers it, `actions` what can be wished to what does it, given the whole
    request. Each answer must be plain data; an action may raise RouterdError."""

    def __init__(self, path: Path, views: Views, actions: Actions | None = None) -> None:
        self._path = path
        self._views = views
        self._actions = actions or {}

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
                line = await reader.readline()
            async with asyncio.timeout(_ACTION_S):
                writer.write(json.dumps(await self.answer(line)).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError) as exc:
            log.debug("a request was not finished: %s", exc)
        finally:
            writer.close()

    async def answer(self, line: bytes) -> dict[str, Any]:
        """`{"ask": name, …}` -> `{"answer": …}` or `{"error": …}`."""
        try:
            request = json.loads(line)
            asked = request["ask"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"error": 'say {"ask": "status"} in one line'}
        if isinstance(asked, str) and asked in self._views:
            return {"answer": self._views[asked]()}
        if isinstance(asked, str) and asked in self._actions:
            try:
                return {"answer": await self._actions[asked](request)}
            except RouterdError as exc:
                return {"error": str(exc), "code": exc.code}
        return {"error": f"{asked!r} is not known: ask for one of {', '.join([*self._views, *self._actions])}"}
