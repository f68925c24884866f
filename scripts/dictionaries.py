"""Train the dictionaries that routerd ships, one per record format, from generated t-logs: `make dictionaries`.

Each is trained on record bodies as the spool compresses them, and is used by zlib as a preset dictionary and by zstd
as a trained one. The generator's seed is fixed, so the same version makes the same bytes.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import zstandard

from routerd import framing, tlog
from routerd.framing import Frame
from routerd.model import RECORD, Draft
from routerd.wire import body, dictionaries

SIZE = 32 << 10  # deflate's window; 112 KiB gained 1 %
FORMATS = {
    # dictionary: (generator's format, framer, framer options, dialect)
    "transset": ("transset-period", "xml-element", {}, "transset"),
    "naxml": ("naxml", "xml-element", {}, "naxml"),
    "poslog": ("poslog", "xml-element", {}, "poslog"),
    "journal": ("journal", "esc-journal", {}, "verifone-journal"),
    "text": ("text", "text", {}, "text"),
}


def generated(name: str, tickets: int) -> bytes:
    """A recording of `tickets` sales in a format of the simulator."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "recording"
        command = [sys.executable, "-m", "scripts.pos", "generate", name, "--tickets", str(tickets), "--noise", "3"]
        subprocess.run([*command, "--out", str(out)], check=True, stderr=subprocess.DEVNULL)
        return out.read_bytes()


def samples(recording: bytes, framer: str, options: dict[str, str], dialect: str) -> list[bytes]:
    """The recording's records as they stand in a segment's body."""
    reader = tlog.dialect(dialect)
    pieces = framing.build(framer, options, reader.elements).feed(recording)
    found = []
    for piece in pieces:
        if isinstance(piece, Frame) and not piece.envelope:
            facts = reader.describe(piece.data)
            draft = Draft(RECORD, piece.data, facts.identity, facts.pos_time, facts.kind)
            found.append(body.pack_record(draft, 0))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=1500, help="sales to train on (default %(default)s)")
    arguments = parser.parse_args()
    folder = Path(dictionaries.__file__).parent
    for name, (kind, framer, options, dialect) in FORMATS.items():
        records = samples(generated(kind, arguments.tickets), framer, options, dialect)
        trained = zstandard.train_dictionary(SIZE, records).as_bytes()
        (folder / f"{name}.bin").write_bytes(trained)
        print(f"{name}: {len(trained)} bytes from {len(records)} records")


if __name__ == "__main__":
    main()
