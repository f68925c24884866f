"""`routerctl frame`: what would this framer and dialect make of this recording? Reads a file, changes nothing."""

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routerd import tlog
from routerd.errors import PermanentError
from routerd.framing import FRAMERS, Framer, Noise, Piece, build

_XML = {name: "xml-element" for name, known in tlog.DIALECTS.items() if known.elements}
_FRAMERS = {**{dialect: framer for framer, dialect in tlog.FOR_FRAMER.items()}, **_XML, "ibm4690": "text"}
_OPTIONS: Mapping[str, Mapping[str, str]] = {"ibm4690": {"line": "hex:220d0a"}}
_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")
_NO_LOGS = {
    "periodList": "a Verifone site controller's list of its periods, not the log of one: fetch a period's transset",
    "Transactions": "most likely a 4690 log taken apart into XML, not the log: take the .DAT file it was made from",
}
_HEAD_BYTES = 8192  # a document's first tag stands here
_CHUNK = 64 << 10
_LINE = 76


def add_to(commands: Any) -> None:
    """Declare the command."""
    what = "what would this framer and dialect make of this recording?"
    epilog = "Exit status: 0 every byte found a frame or an envelope, 1 noise or an unfinished rest, 2 not possible."
    command = commands.add_parser("frame", help=what, description=what, epilog=epilog)
    command.add_argument("file", type=Path, metavar="FILE", help="a recording, as it came from the wire; - for stdin")
    command.add_argument("--framer", choices=sorted(FRAMERS), help="how to cut it (default: guessed from the bytes)")
    command.add_argument("--dialect", choices=sorted(tlog.DIALECTS), help="how to read it (default: guessed)")
    command.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the framer, such as end=\\x03"
    )
    command.add_argument(
        "--chunk",
        default=str(_CHUNK),
        metavar="N|random",
        help="feed it in pieces of N bytes, or of random size (default %(default)s)",
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="which random sizes (default %(default)s)")
    command.add_argument(
        "--show", type=int, default=3, metavar="N", help="how many frames to print (default %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="print the counts as one JSON object")
    command.set_defaults(action=run)


@dataclass(slots=True)
class Findings:
    """Counts over a whole recording; all bytes are in frames, envelopes, noise or pending."""

    framer: str
    dialect: str
    hint: str = ""
    total_bytes: int = 0
    frames: int = 0
    envelopes: int = 0
    frame_bytes: int = 0
    noise_bytes: int = 0
    pending_bytes: int = 0
    masked_bytes: int = 0
    identities: int = 0
    fallback_identities: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    first: list[bytes] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        return {
            "framer": self.framer,
            "dialect": self.dialect,
            "hint": self.hint,
            "frames": self.frames,
            "envelopes": self.envelopes,
            "noise_bytes": self.noise_bytes,
            "pending_bytes": self.pending_bytes,
            "bytes": self.total_bytes,
            "identities": self.identities,
            "unique_identities": len(self.seen),
            "fallback_identities": self.fallback_identities,
            "masked_bytes": self.masked_bytes,
            "kinds": dict(sorted(self.kinds.items())),
        }


def run(arguments: argparse.Namespace) -> int:
    """0 if every byte found a frame or an envelope, 1 if there was noise or an unfinished rest."""
    try:
        content = sys.stdin.buffer.read() if str(arguments.file) == "-" else arguments.file.read_bytes()
    except OSError as exc:
        raise PermanentError("frame.unreadable", f"{arguments.file}: {exc.strerror}") from exc
    framer, dialect, options = guess(content, arguments.framer, arguments.dialect)
    options = {**options, **_options(arguments.option)}
    elements = tlog.DIALECTS[dialect].elements if dialect else ()
    findings = examine(content, build(framer, options, elements), Findings(framer, dialect), arguments)
    findings.hint = hint(content, findings)
    sys.stdout.write(json.dumps(findings.document()) + "\n" if arguments.json else render(findings))
    return int(findings.noise_bytes > 0 or findings.pending_bytes > 0)


def guess(content: bytes, framer: str | None = None, dialect: str | None = None) -> tuple[str, str, Mapping[str, str]]:
    """(framer, dialect, framer options) to read a recording with; what is given stays. An empty dialect: each frame
    decides."""
    name = dialect or tlog.FOR_FRAMER.get(framer or "", "") or tlog.sniff(content)
    if framer == "xml-element" and name not in _XML:
        name = ""
    unknown = "xml-element" if _looks_like(content) == "XML" else "text"
    return framer or _FRAMERS.get(name, unknown), name, _OPTIONS.get(name, {})


def hint(content: bytes, findings: Findings) -> str:
    """What a recording that gave no identity looks like, and what to pass; "" for one that did."""
    if findings.identities or findings.dialect:
        return ""
    match _looks_like(content):
        case "XML":
            root = _ROOT.search(content[:_HEAD_BYTES])
            name = root[1].decode("utf-8", "replace") if root else "?"
            known = ", ".join(element for dialect in tlog.DIALECTS.values() for element in dialect.elements)
            what = _NO_LOGS.get(name, f"no record in it is one of {known}: it is no transaction log known here")
            return f"XML with the root <{name}>: {what}; --framer text shows its lines"
        case "JSON":
            return "JSON, which no framer cuts into records; --framer text takes each line as one"
        case _:
            return "no format known here: pass --framer and --dialect, and check the port's speed and parity"


def _looks_like(content: bytes) -> str:
    start = content[:_HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return {b"<": "XML", b"{": "JSON", b"[": "JSON"}.get(start, "")


def examine(content: bytes, framer: Framer, findings: Findings, arguments: argparse.Namespace) -> Findings:
    for chunk in _chunks(content, arguments.chunk, arguments.seed):
        findings.total_bytes += len(chunk)
        for piece in framer.feed(chunk):
            _take(piece, findings, arguments.show)
    findings.pending_bytes = len(framer.pending)
    for piece in framer.close():
        if not isinstance(piece, Noise):  # the end of the input ends a frame in some formats
            findings.pending_bytes -= len(piece.data)
            _take(piece, findings, arguments.show)
    return findings


def _take(piece: Piece, findings: Findings, show: int) -> None:
    masked, changed = tlog.mask(piece.data, findings.dialect)
    findings.masked_bytes += changed
    if isinstance(piece, Noise):
        findings.noise_bytes += len(piece.data)
        return
    if piece.envelope:
        findings.envelopes += 1
        return
    facts = tlog.DIALECTS[findings.dialect or tlog.sniff(masked) or "text"].describe(masked)
    findings.frames += 1
    findings.frame_bytes += len(piece.data)
    findings.kinds[facts.kind] = findings.kinds.get(facts.kind, 0) + 1
    if facts.identity is not None:
        findings.identities += 1
        findings.fallback_identities += facts.fallback
        findings.seen.add(facts.identity)
    if len(findings.first) < show:
        findings.first.append(masked)


def render(findings: Findings) -> str:
    """For people: the counts, then the first frames in readable form."""
    kinds = ", ".join(f"{count} {kind or 'unnamed'}" for kind, count in sorted(findings.kinds.items()))
    lines = [
        f"framer {findings.framer}, dialect {findings.dialect or 'by frame'}: {findings.total_bytes} bytes",
        f"  {findings.frames} frames ({kinds or 'none'}), {findings.frame_bytes} bytes",
        f"  {findings.envelopes} envelopes, {findings.noise_bytes} bytes of noise, {findings.pending_bytes} pending",
        f"  {findings.identities} identities, {len(findings.seen)} of them different, "
        f"{findings.fallback_identities} made up for want of the POS's own",
        f"  {findings.masked_bytes} bytes of card data masked",
    ]
    if findings.hint:
        lines.append(f"  it looks like {findings.hint}")
    for number, data in enumerate(findings.first, 1):
        lines += ["", f"frame {number}, {len(data)} bytes:", *(f"  | {line}" for line in readable(data))]
    return "\n".join(lines) + "\n"


def readable(data: bytes, most: int = 12) -> list[str]:
    """Bytes as lines a person can read: control bytes as dots, long lines cut, at most `most` lines."""
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n").replace("><", ">\n<")
    lines = ["".join(c if c.isprintable() else "." for c in line)[:_LINE] for line in text.strip().split("\n")]
    return lines if len(lines) <= most else [*lines[:most], f"… {len(lines) - most} lines more"]


def _chunks(content: bytes, chunk: str, seed: int) -> Iterator[bytes]:
    if chunk == "random":
        chance = random.Random(seed)  # noqa: S311 (cuts a recording, guards nothing)
        at = 0
        while at < len(content):
            step = chance.randint(1, 4096)
            yield content[at : at + step]
            at += step
        return
    if not chunk.isdecimal() or int(chunk) < 1:
        raise PermanentError("frame.chunk", f"--chunk {chunk}: give a number of bytes, or random")
    for at in range(0, len(content), int(chunk)):
        yield content[at : at + int(chunk)]


def _options(pairs: list[str]) -> dict[str, str]:
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise PermanentError("frame.option", f"--option {pair}: write KEY=VALUE")
        options[key] = value
    return options
