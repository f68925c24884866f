"""`fleetd init`: makes what is missing in the data folder and leaves alone what is there."""

import re
from collections.abc import Sequence
from pathlib import Path

from fleetd import pki, sqlite_schema
from fleetd.files import Folder, write_whole
from routerd.errors import PermanentError

_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*|[0-9a-fA-F:]+:[0-9a-fA-F:.]*")
DEFAULT_NAMES = ("localhost", "127.0.0.1")


def init(root: Path, names: Sequence[str]) -> list[str]:
    """Prepare `root` for a fleetd reached under `names` (none: the default ones, or those it has). Returns what was
    done, a line each. Raises PermanentError for a name no certificate can carry, or a CA without its key."""
    folder = Folder(root)
    for name in names:
        if not _HOST.fullmatch(name):
            raise PermanentError("init.name", f"{name!r} is neither a host name nor an address: --name takes either")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    root.chmod(0o700)
    try:
        done = [_ca(folder), _server(folder, names)]
    except ValueError as exc:
        raise PermanentError("init.certificate", f"cannot make the certificate: {exc}") from exc
    made = sqlite_schema.create(folder.database)
    done.append(f"{'made' if made else 'kept'} the database {folder.database}")
    return done


def _ca(folder: Folder) -> str:
    if folder.ca_certificate.exists() and folder.ca_key.exists():
        return f"kept the CA {folder.ca_certificate}"
    if folder.ca_certificate.exists():
        remedy = "restore it, or remove the certificate and give routers the new one"
        raise PermanentError("init.ca_key", f"{folder.ca_certificate} has lost its key {folder.ca_key}: {remedy}")
    made = pki.make_ca(pki.utc_now(), folder.ca_key.read_bytes() if folder.ca_key.exists() else b"")
    write_whole(folder.ca_key, made.key, mode=0o600)
    write_whole(folder.ca_certificate, made.certificate, mode=0o644)
    return f"made a CA: {folder.ca_certificate} is what routers pin"


def _server(folder: Folder, names: Sequence[str]) -> str:
    now = pki.utc_now()
    present = folder.server_certificate.exists() and folder.server_key.exists()
    had = pki.names_of(folder.server_certificate.read_bytes()) if present else []
    wanted = list(names) or had or list(DEFAULT_NAMES)
    if present and pki.serves(folder.server_certificate.read_bytes(), wanted, now):
        return f"kept the server certificate for {', '.join(had)}"
    ca = pki.Pair(folder.ca_certificate.read_bytes(), folder.ca_key.read_bytes())
    wanted = list(dict.fromkeys([*had, *wanted]))
    pair = pki.make_server(ca, wanted, now)
    folder.server_certificate.unlink(missing_ok=True)  # a crash in between leaves a pair that is made anew
    write_whole(folder.server_key, pair.key, mode=0o600)
    write_whole(folder.server_certificate, pair.certificate, mode=0o644)
    return f"made a server certificate for {', '.join(wanted)}"
