"""The signer: a process of its own that looks at what it signs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetd.enroll.signer import Keyring, SocketSigner, load
from routerd.errors import PermanentError, TransientError
from routerd.wire.commands import Command, CommandKey, check, pack_command
from routerd.wire.ed25519 import SigningKey

NOW = 1_800_000_000_000
KEY = SigningKey(b"k" * 32)
ID = "0" * 26


def command(kind: str = "ping", life_ms: int = 8000) -> Command:
    return Command(ID, "d-1", kind, {}, NOW, NOW + life_ms, "ana@t1", "TKT-1")


def key_file(folder: Path, mode: int = 0o600) -> Path:
    path = folder / "read.key"
    path.write_text((b"k" * 32).hex() + "\n")
    path.chmod(mode)
    return path


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """The socket of a signer that has a key for reading."""
    socket = tmp_path / "signer.sock"
    arguments = ["--key", f"c1:read:{key_file(tmp_path)}", "--socket", str(socket)]
    process = subprocess.Popen(
        [sys.executable, "-m", "fleetd.enroll.signer", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == f"signer listens on {socket}\n"
    yield socket
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    process.stdout.close()


async def test_a_signer_in_another_process_seals_what_its_key_may(running: Path) -> None:
    assert running.stat().st_mode & 0o777 == 0o600
    signer = SocketSigner(running)
    envelope = await signer.sign(command())
    trusted = {"c1": CommandKey(KEY.public, frozenset({"read"}))}
    assert check(envelope, "d-1", trusted, NOW) == command()
    for refused in (command("restart"), command("wipe"), command("shell"), command(life_ms=86_400_001)):
        with pytest.raises(PermanentError):
            await signer.sign(refused)
    assert (await signer.sign(command())).payload == envelope.payload


async def test_a_signer_that_is_away_is_told_from_one_that_refuses(tmp_path: Path) -> None:
    with pytest.raises(TransientError):
        await SocketSigner(tmp_path / "nobody.sock").sign(command())


def test_keys_are_private_and_never_those_that_destroy(tmp_path: Path) -> None:
    path = key_file(tmp_path)
    kid, (key, scopes) = load(f"c1:read,operate:{path}")
    assert (kid, key.id, scopes) == ("c1", KEY.id, {"read", "operate"})
    for bad in (f"c9:destroy:{path}", f"c1:read:{tmp_path / 'none'}", "c1"):
        with pytest.raises(PermanentError, match="key"):
            load(bad)
    path.chmod(0o644)
    with pytest.raises(PermanentError, match="chmod"):
        load(f"c1:read:{path}")


def test_nothing_is_signed_unread() -> None:
    keyring = Keyring({"c1": (KEY, frozenset({"read"}))})
    for payload in (b"", b"{}", os.urandom(100), pack_command(command())[:-1]):
        with pytest.raises(PermanentError):
            keyring.seal(payload)
