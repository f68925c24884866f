"""Where it happens: a folder on disk, one in RAM, free ports, routerd's configuration, the children's words. Shell."""

import errno
import os
import random
import shutil
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from routerd.fsio import is_ram
from scripts.commander.sessions import Site
from scripts.demo.plan import Source
from scripts.demo.processes import DemoError
from scripts.demo.recording import Recording

DEVICE = "demo-store-0042"
RAM = Path("/dev/shm")
RING_MB = 4  # a thousand times what the tills sell during the cut
SITE = Site(journal=False)  # as no record between the tills' tickets: sold and captured are one number to the eye
RESEND_S = 5.0  # what a POS sends again after a break: longer than a busy machine may leave routerd without a turn
# Below what Linux gives to outgoing connections (32768 up): nobody takes them while routerd or the line is down.
PORTS = range(20000, 32000)
_TOML = """\
[spool]
data_dir = "{data}"
hot_dir = "{hot}"
ring_mb = {ring_mb}
ephemeral = {ephemeral}

[forward]
url = "https://127.0.0.1:{wan_port}"
ca_file = "{cloud}/ca.pem"
key_file = "{key}"
backoff_base_s = 0.25
backoff_ceiling_s = 2.0

[control]
socket = "{socket}"
"""


@dataclass(frozen=True, slots=True)
class Place:
    root: Path
    ram: Path

    @property
    def cloud(self) -> Path:
        return self.root / "cloud"

    @property
    def key(self) -> Path:
        return self.root / "device.key"

    @property
    def config(self) -> Path:
        return self.root / "routerd.toml"

    @property
    def control(self) -> Path:
        return self.ram / "control.sock"

    @property
    def truth(self) -> Path:
        return self.root / "truth.jsonl"

    @property
    def site_truth(self) -> Path:
        return self.root / "truth-site.jsonl"

    @property
    def login(self) -> Path:
        return self.root / "site.login"

    @property
    def boxout(self) -> Path:
        return self.root / "boxout"

    @property
    def pty(self) -> Path:
        return self.root / "ttyPOS0"

    @property
    def is_in_ram(self) -> bool:
        return is_ram(self.root)

    def log(self, name: str) -> Path:
        return self.root / f"{name}.log"

    def remove(self) -> None:
        shutil.rmtree(self.ram, ignore_errors=True)
        shutil.rmtree(self.root, ignore_errors=True)

    def keep(self) -> None:
        """What stood in RAM joins the rest, for whoever looks for the cause."""
        shutil.copytree(self.ram, self.root / "hot", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
        shutil.rmtree(self.ram, ignore_errors=True)


def make() -> Place:
    """Raises DemoError where there is no RAM disk to be had."""
    if not (RAM.is_dir() and is_ram(RAM)):
        raise DemoError(f"{RAM} is no RAM disk here; routerd's hot tier needs one: mount -t tmpfs tmpfs {RAM}")
    return Place(
        Path(tempfile.mkdtemp(prefix="routerd-demo-")), Path(tempfile.mkdtemp(prefix="routerd-demo-", dir=RAM))
    )


def configuration(place: Place, wan_port: int, sources: Sequence[str], ring_mb: int = RING_MB) -> str:
    """routerd's configuration file."""
    head = _TOML.format(
        data=place.root / "spool",
        hot=place.ram / "hot",
        ring_mb=ring_mb,
        ephemeral=str(place.is_in_ram).lower(),
        wan_port=wan_port,
        cloud=place.cloud,
        key=place.key,
        socket=place.control,
    )
    return "\n".join([head, *sources])


def till(source: Source, place: Place) -> tuple[str, tuple[str, str]]:
    """One till on a port of its own: its section of routerd's configuration, and the simulator's words for it."""
    rows = [("name", f'"{source.name}"'), ("link", f'"{source.link}"'), *source.rows]
    if source.link == "serial":
        target = str(place.pty)
        rows.append(("port", f'"{target}"'))
    else:
        port = free_port()
        target = f"127.0.0.1:{port}" if source.link == "tcp-listen" else f"listen:127.0.0.1:{port}"
        rows.append(("port", str(port)))
    if source.link == "tcp-listen":
        rows += [("bind", '"127.0.0.1"'), ("allow", '["127.0.0.1"]')]
    elif source.link == "tcp-connect":
        rows.append(("host", '"127.0.0.1"'))
    return _section(rows), (source.option, target)


def commander(source: Source, place: Place, port: int) -> str:
    """The section of a Commander on `port`."""
    rows = [("name", f'"{source.name}"'), ("link", '"commander"'), ("host", '"127.0.0.1"'), ("port", str(port))]
    return _section([*rows, ("login_file", f'"{place.login}"'), *source.rows])


def folder(source: Source, place: Place) -> str:
    """The section of the folder that files are dropped into."""
    return _section([("name", f'"{source.name}"'), ("link", '"folder"'), ("path", f'"{place.boxout}"'), *source.rows])


def write_login(path: Path, site: Site) -> None:
    """What a Commander's link logs in with, for nobody else to read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(f"{site.user}\n{site.password}\n")


def player(recording: Recording, place: Place) -> str:
    """The one serial source that a recording is played to."""
    options = ", ".join(f'{name} = "{value}"' for name, value in recording.options.items())
    rows = [
        ("name", f'"{recording.source}"'),
        ("link", '"serial"'),
        ("port", f'"{place.pty}"'),
        ("framer", f'"{recording.framer}"'),
        ("framer_options", f"{{ {options} }}"),
        ("dialect", f'"{recording.dialect}"'),
    ]
    return _section(rows)


def _section(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(["[[source]]", *(f"{name} = {value}" for name, value in rows), ""])


_given: set[int] = set()


def free_port() -> int:
    """A port of loopback that nobody listens on, and that this function gives to nobody else."""
    for port in random.sample(PORTS, len(PORTS)):  # at random, for another demo may look at the same moment
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as exc:
                if exc.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise
        _given.add(port)
        return port
    raise DemoError(f"no free port from {PORTS.start} to {PORTS.stop - 1} on 127.0.0.1")
