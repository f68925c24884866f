"""What a power cut leaves of a folder, from the changes it saw and the barriers between them. Pure.

A file's bytes are safe once the file was synced behind them. Of those that are not, a cut leaves nothing, everything,
any of the writes, or of each write any of its 512-byte sectors; a sector under way may hold garbage. A write that
makes a file longer may leave zeros where its bytes are missing.

Names are safe in one of two ways. `ordered`, as in a journal (ext4): names change one after the other, a cut keeps the
first so many, and syncing a file that was created or made longer brings along all that was before. `strict`, all that
POSIX promises: a name is safe when its directory was synced, and each of the others may be there or not.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from scripts.faults.tap import Op

SECTOR = 512
FAILED_SYNC = "failed sync"  # the kernel calls the pages clean all the same: no later sync writes them
TREATMENTS = ("dropped", "kept", "subset", "torn", "garbage")


@dataclass(eq=False)
class _File:
    safe: bytearray = field(default_factory=bytearray)
    current: bytearray = field(default_factory=bytearray)  # with all that is not safe: what everybody reads
    pending: list[Op] = field(default_factory=list)
    is_longer: bool = False  # or new, or renamed: its sync commits the journal


class Disk:
    """Follows the changes of one folder that starts with `files` (name -> safe bytes)."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._safe = {name: _File(bytearray(content), bytearray(content)) for name, content in files.items()}
        self._now = dict(self._safe)
        self._names: list[tuple[str, str, _File | None]] = []  # (name, was at, file): changes that are not safe

    def follow(self, op: Op) -> None:
        file = self._now.get(op.path)
        if op.kind == "create":
            file = self._now[op.path] = _File(is_longer=True)
            self._names.append((op.path, "", file))
        elif op.kind == "rename" and file:
            del self._now[op.path]
            self._now[op.to] = file
            file.is_longer = True
            self._names.append((op.to, op.path, file))
        elif op.kind == "unlink":
            self._now.pop(op.path, None)
            self._names.append((op.path, "", None))
        elif op.kind == "syncdir":
            self._commit_names(len(self._names), ordered=True)
        elif file and op.kind == "sync":
            self._sync(file)
        elif file and op.kind == FAILED_SYNC:
            file.pending.clear()
        elif file:
            file.is_longer |= op.kind == "truncate" or op.at + len(op.data) > len(file.current)
            file.pending.append(op)
            _apply(file.current, op)

    def _sync(self, file: _File) -> None:
        for op in file.pending:
            _apply(file.safe, op)
        file.pending.clear()
        if file.is_longer:
            file.is_longer = False
            self._names.append(("", "", file))  # with an ordered journal all names up to here are safe

    def _commit_names(self, count: int, *, ordered: bool) -> dict[str, _File]:
        for name, was, file in self._names[:count]:
            if was and self._safe.get(was) is file:
                del self._safe[was]
            if name and file:
                self._safe[name] = file
            elif name:
                self._safe.pop(name, None)
        del self._names[:count]
        return self._safe

    def now(self) -> dict[str, bytes]:
        """name -> bytes as everybody sees them without a power cut: what SIGKILL leaves."""
        return {name: bytes(file.current) for name, file in self._now.items()}

    def cut(self, chance: random.Random, treatment: str, *, ordered: bool) -> dict[str, bytes]:
        """name -> bytes after a power cut now. Ends the following: a disk is cut once."""
        if ordered:
            marks = [at + 1 for at, (name, _, _) in enumerate(self._names) if not name]
            self._commit_names(chance.randint(marks[-1] if marks else 0, len(self._names)), ordered=True)
        else:
            self._names = [each for each in self._names if each[0] and chance.random() < 0.5]
            self._commit_names(len(self._names), ordered=False)
        return {name: _left(file, chance, treatment) for name, file in self._safe.items()}


def _left(file: _File, chance: random.Random, treatment: str) -> bytes:
    content = bytearray(file.safe)
    for number, op in enumerate(file.pending):
        is_last = number == len(file.pending) - 1
        for part in _parts(op, chance, treatment, is_last=is_last):
            _apply(content, part)
    return bytes(content)


def _parts(op: Op, chance: random.Random, treatment: str, *, is_last: bool) -> Iterable[Op]:
    if treatment == "kept":
        return [op]
    if treatment == "dropped":
        return []
    if treatment == "subset" or op.kind == "truncate":
        return [op] if chance.random() < 0.5 else []
    starts = range(0, len(op.data), SECTOR)
    kept = [op._replace(at=op.at + at, data=op.data[at : at + SECTOR]) for at in starts if chance.random() < 0.5]
    if treatment == "garbage" and is_last and starts:
        at = chance.choice(starts)
        kept.append(op._replace(at=op.at + at, data=chance.randbytes(min(SECTOR, len(op.data) - at))))
    return kept


def _apply(content: bytearray, op: Op) -> None:
    if op.kind == "truncate":
        del content[op.at :]
        content.extend(bytes(op.at - len(content)))
        return
    content.extend(bytes(max(0, op.at - len(content))))
    content[op.at : op.at + len(op.data)] = op.data
