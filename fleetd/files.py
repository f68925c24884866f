"""The data folder: where everything is, and files that are written whole or not at all."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from routerd.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Folder:
    """Paths inside `--data`."""

    root: Path

    @property
    def ca_certificate(self) -> Path:
        """What routers pin."""
        return self.root / "ca.pem"

    @property
    def ca_key(self) -> Path:
        return self.root / "ca.key"

    @property
    def server_certificate(self) -> Path:
        return self.root / "server.pem"

    @property
    def server_key(self) -> Path:
        return self.root / "server.key"

    @property
    def database(self) -> Path:
        return self.root / "fleet.db"

    @property
    def ledger(self) -> Path:
        """The book: derived from the database, written anew when it is missing."""
        return self.root / "ledger.db"

    @property
    def lock(self) -> Path:
        return self.root / "fleetd.lock"


def write_whole(path: Path, content: bytes, *, mode: int) -> None:
    """Replace `path` in one step; after a crash it holds the old content or the new, never a part."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    _write_synced(draft, content, mode)
    draft.rename(path)
    _sync_folder(path.parent)


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that must not exist. Raises PermanentError (`file.exists`)."""
    try:
        _write_synced(path, content, mode)
    except FileExistsError as exc:
        raise PermanentError("file.exists", f"{path} exists and is not overwritten: choose another path") from exc
    _sync_folder(path.parent)


def lock(path: Path) -> int:
    """Hold the folder for this process until it ends; keep the descriptor. Raises PermanentError (`fleetd.running`)."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(descriptor)
        raise PermanentError("fleetd.running", f"another fleetd runs on {path.parent}: stop it first") from exc
    return descriptor


def _write_synced(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
