"""`routerd image-lint ROOTFS`: what an image must not hold, because every router flashed with it would have the same.

identity       a device's key or record: thousands of routers would be one device
buffer         a spool or a store's other data: one store's t-log on every router
seed           a random seed: first keys would be guessable from one another
machine        what a machine writes on its first boot: host keys, machine id, addresses of the builder's board
private_key    any other private key
cookie         a login that somebody left open
exposed        a secret that others on the router could read
claim          claim.json is missing, damaged, not signed by its own roots, or has expired
"""

import json
import os
import re
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

from routerd.enroll.image import read_image
from routerd.errors import CorruptError
from routerd.wire import ed25519
from routerd.wire.trust import trust_message

CLAIM_PATH = "etc/routerd/claim.json"
EXIT_CLEAN, EXIT_FINDINGS, EXIT_USAGE = 0, 1, 64  # sysexits.h EX_USAGE
_USAGE = """\
usage: routerd image-lint ROOTFS [--json]

Looks for what must not be in an image's root filesystem: identities, keys, seeds, cookies, exposed secrets.

Exit status: 0 nothing found, 1 something found, 64 ROOTFS is no directory.
"""
_HEAD_BYTES = 64 << 10  # no key or configuration with a secret is longer
_SOURCE_TREES = (
    "usr/lib/",
    "lib/",
    "usr/share/doc/",
    "usr/include/",
    "www/luci-static/",
)  # code may speak of keys and cookies
_RULES = (  # (kind, pattern of the path without regard to case, what to do)
    ("identity", "*/device.key*", "delete it: each router makes its own"),
    ("identity", "*/identity.json", "delete it: each router makes its own"),
    ("identity", "*/identity.foreign-*", "delete it: it is another router's"),
    ("buffer", "*routerd/*.db*", "delete it: it is one router's data"),
    ("buffer", "*routerd/spool/*", "delete it: it is one router's data"),
    ("seed", "*/urandom.seed", "delete it: each router gathers its own"),
    ("seed", "*/random-seed", "delete it: each router gathers its own"),
    ("machine", "etc/dropbear/dropbear_*_host_key", "delete it: it is made on the first boot"),
    ("machine", "etc/ssh/ssh_host_*_key", "delete it: it is made on the first boot"),
    ("machine", "etc/uhttpd.key", "delete it: it is made on the first boot"),
    ("machine", "etc/board.json", "delete it: it holds the builder's addresses"),
    ("machine", "etc/machine-id", "empty it: it is made on the first boot"),
    ("machine", "var/lib/dbus/machine-id", "delete it: it is made on the first boot"),
    ("cookie", "*cookie*", "delete it: it is an open login"),
    ("cookie", "*/.netrc", "delete it: it is a login"),
)
_SECRET_NAMES = ("etc/routerd/claim.json", "etc/routerd/*login*", "etc/routerd/*secret*", "etc/routerd/*.key")
_UCI_SECRET = re.compile(rb"^\s*option\s+'?(\w*(?:password|passwd|secret|private_key|psk|token)\w*)'?\s+\S", re.M)
_PEM_KEY = re.compile(rb"^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----", re.M)


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file: path below the root filesystem, permission bits, size, and the first 64 KiB of its content."""

    path: str
    mode: int
    size_bytes: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    path: str
    remedy: str


def judge(entry: Entry) -> Iterator[Finding]:
    """What is wrong with one file. Pure."""
    lower = entry.path.lower()
    if lower.startswith(_SOURCE_TREES):
        return
    if entry.size_bytes:
        for kind, pattern, remedy in _RULES:
            if fnmatch(f"/{lower}" if pattern.startswith("*/") else lower, pattern):
                yield Finding(kind, entry.path, remedy)
                return
    if _PEM_KEY.search(entry.head):
        yield Finding("private_key", entry.path, "delete it: a key that all routers share is no secret")
    if entry.mode & 0o077 and any(fnmatch(lower, pattern) for pattern in _SECRET_NAMES):
        yield Finding("exposed", entry.path, "chmod 600 it")
    if lower.startswith("etc/config/") and entry.mode & 0o007 and (found := _UCI_SECRET.search(entry.head)):
        yield Finding("exposed", entry.path, f"chmod 600 it: option {found[1].decode()} is a secret")


def judge_claim(content: bytes | None, now_ms: int) -> Iterator[Finding]:
    """What is wrong with claim.json; None if there is none. Pure."""
    if content is None:
        yield Finding("claim", CLAIM_PATH, "add it: without it no router of this image can enroll")
        return
    try:
        image = read_image(content)
    except CorruptError as exc:
        yield Finding("claim", CLAIM_PATH, f"make it again: {exc}")
        return
    message = trust_message(image.bundle.payload)
    roots = image.trust.roots
    signed = {
        kid
        for kid, signature in image.bundle.signatures
        if kid in roots and ed25519.verify(roots[kid], message, signature)
    }
    if len(signed) < image.trust.threshold:
        yield Finding(
            "claim", CLAIM_PATH, f"its trust needs {image.trust.threshold} of its roots, {len(signed)} signed"
        )
    if image.claim and image.claim.not_after_ms <= now_ms:
        yield Finding("claim", CLAIM_PATH, "its claim has expired: get one for this batch")


def lint(rootfs: Path, now_ms: int) -> list[Finding]:
    """Every finding, by path. Links are not followed. Raises OSError for what cannot be read: run it as the builder."""
    found = [finding for entry in _files(rootfs) for finding in judge(entry)]
    claim = rootfs / CLAIM_PATH
    found += judge_claim(claim.read_bytes() if claim.is_file() else None, now_ms)
    return sorted(found, key=lambda finding: (finding.path, finding.kind))


def main(arguments: Sequence[str]) -> int:
    """`image-lint`'s own arguments. Prints one finding a line, or a JSON document with `--json`."""
    paths = [argument for argument in arguments if argument != "--json"]
    if len(paths) != 1 or paths[0].startswith("-") or not Path(paths[0]).is_dir():
        sys.stderr.write(_USAGE)
        return EXIT_USAGE
    found = lint(Path(paths[0]), time.time_ns() // 1_000_000)
    if "--json" in arguments:
        sys.stdout.write(json.dumps({"v": 1, "findings": [asdict(finding) for finding in found]}, indent=1) + "\n")
    else:
        sys.stdout.writelines(f"{finding.kind}: /{finding.path}: {finding.remedy}\n" for finding in found)
    return EXIT_FINDINGS if found else EXIT_CLEAN


def _files(rootfs: Path) -> Iterator[Entry]:
    for directory, _, names in os.walk(rootfs, onerror=_give_up):
        for name in names:
            path = Path(directory) / name
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                with path.open("rb") as file:
                    head = file.read(_HEAD_BYTES)
                yield Entry(str(path.relative_to(rootfs)), stat.S_IMODE(status.st_mode), status.st_size, head)


def _give_up(exc: OSError) -> None:
    """A directory that cannot be read is not clean."""
    raise exc
