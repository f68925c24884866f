"""Who signs commands: not the process that faces the network. It asks over a Unix socket, one JSON line each way.

    python -m fleetd.enroll.signer --key KID:SCOPES:FILE … --socket PATH

FILE holds 64 hex digits, 0600. The signer looks at what it signs: the kind must be one it knows, of a scope that a key
of its has, and no command lives longer than a day. A key that may destroy does not belong here.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from routerd.errors import CorruptError, PermanentError, RouterdError, TransientError
from routerd.wire import base64url
from routerd.wire.commands import (
    MAX_COMMAND_BYTES,
    MAX_LIFE_MS,
    SCOPE_OF,
    Command,
    Envelope,
    command_message,
    envelope_values,
    pack_command,
    read_command,
    read_envelope,
)
from routerd.wire.ed25519 import SEED_BYTES, SigningKey
from routerd.wire.trust import DESTROY

_TIMEOUT_S = 2.0
_MAX_LINE_BYTES = 4 * MAX_COMMAND_BYTES


class Signer(Protocol):
    """Seals commands."""

    async def sign(self, command: Command) -> Envelope:
        """Raises PermanentError (`signer.refused`) and TransientError (`signer.unavailable`)."""
        ...


class Keyring:
    """Keys in memory. `keys`: kid to key and the scopes it signs for; the first that has the scope signs."""

    def __init__(self, keys: Mapping[str, tuple[SigningKey, frozenset[str]]]) -> None:
        self._keys = keys

    async def sign(self, command: Command) -> Envelope:
        return self.seal(pack_command(command))

    def seal(self, payload: bytes) -> Envelope:
        """Raises PermanentError (`signer.refused`)."""
        try:
            command = read_command(payload)
        except CorruptError as exc:
            raise PermanentError("signer.refused", str(exc)) from exc
        scope = SCOPE_OF.get(command.kind)
        if not 0 <= command.expires_ms - command.issued_ms <= MAX_LIFE_MS:
            raise PermanentError("signer.refused", "a command lives a day at most")
        for kid, (key, scopes) in self._keys.items():
            if scope in scopes:
                return Envelope(payload, kid, key.sign(command_message(payload)))
        raise PermanentError("signer.refused", f"no key here may order {command.kind}")


class SocketSigner:
    """A signer in another process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def sign(self, command: Command) -> Envelope:
        asked = json.dumps({"payload": base64url.encode(pack_command(command))}).encode() + b"\n"
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                answer = await self._ask(asked)
        except (OSError, TimeoutError, ValueError) as exc:
            raise TransientError("signer.unavailable", f"the signer does not answer ({exc})") from exc
        if "error" in answer:
            raise PermanentError("signer.refused", str(answer["error"]))
        return read_envelope(answer)

    async def _ask(self, line: bytes) -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=_MAX_LINE_BYTES)
        try:
            writer.write(line)
            await writer.drain()
            answer = json.loads(await reader.readline())
        finally:
            writer.close()
        if not isinstance(answer, dict):
            raise ValueError("no answer")
        return answer


def load(specification: str) -> tuple[str, tuple[SigningKey, frozenset[str]]]:
    """`KID:SCOPE[,SCOPE]:FILE`. Raises PermanentError (`signer.key`)."""
    kid, _, rest = specification.partition(":")
    scopes, _, name = rest.partition(":")
    path = Path(name)
    if not (kid and scopes and name):
        raise PermanentError("signer.key", f"{specification} is no key like c1:read:/etc/fleetd/read.key")
    try:
        if path.stat().st_mode & 0o077:
            raise PermanentError("signer.key", f"{path} can be read by others: chmod 600 {path}")
        seed = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as exc:
        raise PermanentError("signer.key", f"{path} holds no key ({exc})") from exc
    if len(seed) != SEED_BYTES or DESTROY in scopes.split(","):
        raise PermanentError(
            "signer.key", f"{path} holds no key for this place: 64 hex digits, scopes read and operate"
        )
    return kid, (SigningKey(seed), frozenset(scopes.split(",")))


async def serve(keyring: Keyring, path: Path) -> None:
    """Until SIGTERM or SIGINT. The socket is for this user only."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                writer.write(_sealed(keyring, await reader.readline()))
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # whoever asked has gone, or asks for more than a line
        finally:
            writer.close()

    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(answer, path, limit=_MAX_LINE_BYTES)
    finally:
        os.umask(before)
    sys.stdout.write(f"signer listens on {path}\n")
    sys.stdout.flush()
    async with server:
        await stop.wait()


def _sealed(keyring: Keyring, line: bytes) -> bytes:
    try:
        said = json.loads(line)
        answer = envelope_values(keyring.seal(base64url.decode(said["payload"])))
    except RouterdError as exc:
        answer = {"error": str(exc)}
    except (ValueError, KeyError, TypeError):
        answer = {"error": "this is no question"}
    return json.dumps(answer).encode() + b"\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 2 when it could not start: one line on stderr says why."""
    parser = argparse.ArgumentParser(prog="python -m fleetd.enroll.signer", description="Signs commands for fleetd.")
    parser.add_argument("--key", action="append", required=True, metavar="KID:SCOPES:FILE", help="may be repeated")
    parser.add_argument("--socket", type=Path, required=True, metavar="PATH", help="where to listen")
    arguments = parser.parse_args(argv)
    try:
        keyring = Keyring(dict(load(specification) for specification in arguments.key))
        arguments.socket.unlink(missing_ok=True)
        asyncio.run(serve(keyring, arguments.socket))
    except (RouterdError, OSError) as exc:
        sys.stderr.write(f"signer: {exc}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
