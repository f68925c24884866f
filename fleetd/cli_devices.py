"""`fleetctl device`: who may send, and whose sales each router carries."""

import argparse
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fleetd import auth, tables, terminal
from fleetd.files import Folder, write_new
from fleetd.sqlite_store import SqliteStore
from fleetd.store import ACTIVE, DISABLED
from fleetd.terminal import OK, Commands
from routerd.errors import PermanentError, RouterdError


def add_commands(commands: Commands) -> None:
    told = "of this router only"
    commands.add("devices", _devices, "who may send").add_argument("--device", default="", metavar="ID", help=told)
    actions = Commands(commands.add("device", None, "register, disable and enable routers"), "ACTION")
    actions.add("list", _devices, "who may send").set_defaults(device="")
    added = _named(actions.add("add", _add, "register a router and write its key file"))
    told = "where to write the key; must not exist"
    added.add_argument("--key-file", type=Path, required=True, metavar="PATH", help=told)
    moved = _named(actions.add("set", _set, "say whose sales a router carries"))
    for parser, is_required in ((added, False), (moved, True)):
        told = "the store whose sales it carries" + ("" if is_required else " (its own id)")
        parser.add_argument("--store", default="", metavar="STORE", required=is_required, help=told)
        told = "the store's time zone, like America/New_York"
        parser.add_argument("--timezone", type=_zone, default="", metavar="ZONE", help=told)
    _named(actions.add("disable", _disable, "refuse a router's uploads; it keeps its data"))
    _named(actions.add("enable", _enable, "take a router's uploads again"))


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("id", metavar="ID", help="the router's id")
    return parser


def _devices(arguments: argparse.Namespace) -> int:
    with terminal.store(arguments) as store:
        found = [one for one in store.devices() if arguments.device in ("", one.id)]
        return terminal.show(arguments, map(tables.device, found), "no device: add one with `fleetctl device add`")


def _add(arguments: argparse.Namespace) -> int:
    """The key file first: a device whose key nobody has would be worse than a key without a device."""
    for name in (arguments.id, arguments.store or arguments.id):
        if not auth.is_device_id(name):
            raise PermanentError("device.id", "an id is 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with . _ -")
    device, line = auth.mint(arguments.id, terminal.now_ms(), arguments.store, arguments.timezone)
    with SqliteStore(Folder(arguments.data).database) as store:
        if store.device(device.id):
            raise PermanentError("device.exists", f"device {device.id} exists: choose another id")
        write_new(arguments.key_file, f"{line}\n".encode(), mode=0o600)
        try:
            store.add_device(device)
        except RouterdError:
            arguments.key_file.unlink()
            raise
    return _said(arguments, f"added; its key is in {arguments.key_file}, nowhere else")


def _set(arguments: argparse.Namespace) -> int:
    if not auth.is_device_id(arguments.store):
        raise PermanentError("device.store", "a store is named like a device: 1 to 64 of A-Z a-z 0-9 . _ -")
    with SqliteStore(Folder(arguments.data).database) as store:
        store.set_store(arguments.id, arguments.store, arguments.timezone)
    return _said(arguments, f"carries the sales of {arguments.store}; `fleetctl reprocess --all` moves earlier ones")


def _enable(arguments: argparse.Namespace) -> int:
    return _status(arguments, ACTIVE)


def _disable(arguments: argparse.Namespace) -> int:
    return _status(arguments, DISABLED)


def _status(arguments: argparse.Namespace, status: str) -> int:
    with SqliteStore(Folder(arguments.data).database) as store:
        store.set_status(arguments.id, status)
    return _said(arguments, f"is {status} from its next request on")


def _said(arguments: argparse.Namespace, told: str) -> int:
    if arguments.json:
        print(tables.object_json({"id": arguments.id, "message": told}))
    else:
        print(f"device {arguments.id} {told}")
    return OK


def _zone(text: str) -> str:
    """Empty text is no zone: it is not known."""
    try:
        return text and ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise argparse.ArgumentTypeError(f"{text} is no time zone like America/New_York") from exc
