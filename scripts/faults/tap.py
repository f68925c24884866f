"""Every change below some folders, seen before it happens, and refused on demand: Python's through `os`, SQLite's
through its VFS.

SQLite writes from C, so its own file methods are taken: the default `sqlite3_vfs` gets another `xOpen`, which gives
each file a table of methods of ours in front of the real ones (https://www.sqlite.org/c3ref/io_methods.html).
"""

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

_P = ctypes.c_void_p
_I = ctypes.c_int
_I64 = ctypes.c_int64
_OK, _FULL, _READONLY, _CANTOPEN = 0, 13, 8, 14
_IOERR_WRITE, _IOERR_FSYNC, _IOERR_TRUNCATE, _IOERR_DELETE = 778, 1034, 1546, 2570
_OPEN_CREATE, _OPEN_READWRITE = 0x4, 0x2
_METHODS = 19  # words of sqlite3_io_methods, version 3


class Op(NamedTuple):
    """One change: `kind` is create, write, truncate, sync, rename, unlink or syncdir; `at` is an offset or a size."""

    kind: str
    path: str
    at: int = 0
    data: bytes = b""
    to: str = ""


class Refusal(NamedTuple):
    """What the disk says instead of yes: an errno, after the first `written` bytes of a write."""

    code: int
    written: int = 0


Observer = Callable[[Op], Refusal | None]
PASS: Observer = lambda _op: None  # noqa: E731


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("version", _I),
        ("file_bytes", _I),
        ("path_bytes", _I),
        ("next", _P),
        ("name", ctypes.c_char_p),
        ("data", _P),
        ("open", _P),
        ("delete", _P),
    ]


_OPEN = ctypes.CFUNCTYPE(_I, _P, _P, _P, _I, _P)  # names stay pointers: SQLite keeps them
_DELETE = ctypes.CFUNCTYPE(_I, _P, ctypes.c_char_p, _I)
_CLOSE = ctypes.CFUNCTYPE(_I, _P)
_WRITE = ctypes.CFUNCTYPE(_I, _P, _P, _I, _I64)
_TRUNCATE = ctypes.CFUNCTYPE(_I, _P, _I64)
_SYNC = ctypes.CFUNCTYPE(_I, _P, _I)
_kept: list[Any] = []  # tables and callbacks that open files may still use


@contextmanager
def tapped(folders: list[Path], observer: Observer) -> Iterator[None]:
    """While it holds, `observer` is asked before each change below `folders`. One at a time in a process."""
    tap = _Tap([str(folder) for folder in folders], observer)
    tap.install()
    try:
        yield
    finally:
        tap.remove()


def missing() -> str:
    """Why SQLite cannot be tapped here; "" if it can."""
    try:
        _library().sqlite3_vfs_find  # noqa: B018
    except (AttributeError, OSError) as exc:
        return f"this Python hides its SQLite: {exc}"
    return ""


def _library() -> ctypes.CDLL:
    import _sqlite3

    return ctypes.CDLL(_sqlite3.__file__)


class _Tap:
    def __init__(self, folders: list[str], observer: Observer) -> None:
        self._folders = set(folders)
        self._observe = observer
        self._fds: dict[int, tuple[str, int]] = {}
        self._files: dict[int, str] = {}
        self._fresh: set[str] = set()  # journals whose first sync also syncs their directory
        self._tables: dict[int, tuple[Any, Any]] = {}
        self._saved: dict[str, Any] = {}

    def wants(self, path: object) -> bool:
        if not isinstance(path, str | os.PathLike):
            return False
        name = os.fspath(path)
        return name in self._folders or os.path.dirname(name) in self._folders

    def install(self) -> None:
        for name in ("open", "close", "write", "pwrite", "ftruncate", "fsync", "fdatasync", "rename", "unlink"):
            self._saved[name] = getattr(os, name)
            setattr(os, name, getattr(self, f"_os_{name}"))
        find = _library().sqlite3_vfs_find
        find.restype, find.argtypes = ctypes.POINTER(_Vfs), [ctypes.c_char_p]
        self._vfs = find(None).contents
        self._real = self._vfs.open, self._vfs.delete
        calls = _OPEN(self._open), _DELETE(self._delete)
        _kept.append(calls)
        self._vfs.open, self._vfs.delete = (ctypes.cast(call, _P).value for call in calls)

    def remove(self) -> None:
        self._vfs.open, self._vfs.delete = self._real
        for name, function in self._saved.items():
            setattr(os, name, function)
        self._observe = PASS

    # -- Python's changes ---------------------------------------------------------------------------------------

    def _ask(self, op: Op) -> None:
        refusal = self._observe(op)
        if refusal:
            raise OSError(refusal.code, os.strerror(refusal.code), op.path)

    def _os_open(self, path: Any, flags: int, *more: Any, **named: Any) -> int:
        if not self.wants(path):
            return self._saved["open"](path, flags, *more, **named)
        name = os.fspath(path)
        is_new = bool(flags & os.O_CREAT) and not os.path.exists(name)
        if is_new:
            self._ask(Op("create", name))
        elif flags & os.O_TRUNC:
            self._ask(Op("truncate", name))
        fd = self._saved["open"](path, flags, *more, **named)
        self._fds[fd] = name, flags
        return fd

    def _os_close(self, fd: int) -> None:
        self._fds.pop(fd, None)
        self._saved["close"](fd)

    def _os_write(self, fd: int, data: Any) -> int:
        if fd not in self._fds:
            return self._saved["write"](fd, data)
        name, flags = self._fds[fd]
        at = os.fstat(fd).st_size if flags & os.O_APPEND else os.lseek(fd, 0, os.SEEK_CUR)
        return self._put(Op("write", name, at, bytes(data)), lambda part: self._saved["write"](fd, part))

    def _os_pwrite(self, fd: int, data: Any, at: int) -> int:
        if fd not in self._fds:
            return self._saved["pwrite"](fd, data, at)
        op = Op("write", self._fds[fd][0], at, bytes(data))
        return self._put(op, lambda part: self._saved["pwrite"](fd, part, at))

    def _put(self, op: Op, write: Callable[[bytes], int]) -> int:
        refusal = self._observe(op)
        if refusal and not refusal.written:
            raise OSError(refusal.code, os.strerror(refusal.code), op.path)
        return write(op.data[: refusal.written] if refusal else op.data)

    def _os_ftruncate(self, fd: int, size: int) -> None:
        if fd in self._fds:
            self._ask(Op("truncate", self._fds[fd][0], size))
        self._saved["ftruncate"](fd, size)

    def _os_fsync(self, fd: int) -> None:
        if fd in self._fds:
            name, flags = self._fds[fd]
            self._ask(Op("syncdir" if flags & os.O_DIRECTORY else "sync", name))
        self._saved["fsync"](fd)

    def _os_fdatasync(self, fd: int) -> None:
        if fd in self._fds:
            self._ask(Op("sync", self._fds[fd][0]))
        self._saved["fdatasync"](fd)

    def _os_rename(self, old: Any, new: Any, **named: Any) -> None:
        if self.wants(old):
            self._ask(Op("rename", os.fspath(old), to=os.fspath(new)))
        self._saved["rename"](old, new, **named)

    def _os_unlink(self, path: Any, **named: Any) -> None:
        if self.wants(path) and os.path.lexists(path):
            self._ask(Op("unlink", os.fspath(path)))
        self._saved["unlink"](path, **named)

    # -- SQLite's changes ---------------------------------------------------------------------------------------

    def _open(self, vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        path = os.fsdecode(ctypes.string_at(name)) if name else ""
        is_ours = self.wants(path) and bool(flags & _OPEN_READWRITE)
        is_new = is_ours and bool(flags & _OPEN_CREATE) and not os.path.exists(path)
        if is_new and (refusal := self._observe(Op("create", path))):
            return _READONLY if refusal.code == errno.EROFS else _CANTOPEN
        code: int = ctypes.cast(self._real[0], _OPEN)(vfs, name, file, flags, out)
        if code == _OK and is_ours:
            if is_new and path.endswith("-journal"):
                self._fresh.add(path)
            self._files[file] = path
            self._dress(file)
        return code

    def _dress(self, file: int) -> None:
        """Put our table of methods in front of the file's own."""
        held = ctypes.cast(file, ctypes.POINTER(_P))
        real = held[0]
        assert real, "an open file has methods"
        if real not in self._tables:
            table = (_P * _METHODS)()
            ctypes.memmove(table, real, ctypes.sizeof(table))
            calls = _CLOSE(self._close), _WRITE(self._write), _TRUNCATE(self._truncate), _SYNC(self._sync)
            self._real_methods = {at: table[at] for at in (1, 3, 4, 5)}
            for at, call in zip((1, 3, 4, 5), calls, strict=True):
                table[at] = ctypes.cast(call, _P).value
            self._tables[real] = table, calls
            _kept.append((table, calls))
        held[0] = ctypes.addressof(self._tables[real][0])

    def _method(self, at: int, kind: Any) -> Any:
        return ctypes.cast(self._real_methods[at], kind)

    def _close(self, file: int) -> int:
        self._files.pop(file, None)
        return int(self._method(1, _CLOSE)(file))

    def _write(self, file: int, data: int, size: int, at: int) -> int:
        refusal = self._observe(Op("write", self._files[file], at, ctypes.string_at(data, size)))
        if not refusal:
            return int(self._method(3, _WRITE)(file, data, size, at))
        if refusal.written:
            self._method(3, _WRITE)(file, data, min(refusal.written, size), at)
        return _FULL if refusal.code == errno.ENOSPC else _IOERR_WRITE

    def _truncate(self, file: int, size: int) -> int:
        if self._observe(Op("truncate", self._files[file], size)):
            return _IOERR_TRUNCATE
        return int(self._method(4, _TRUNCATE)(file, size))

    def _sync(self, file: int, flags: int) -> int:
        path = self._files[file]
        if self._observe(Op("sync", path)):
            return _IOERR_FSYNC
        if path in self._fresh:
            self._fresh.discard(path)
            self._observe(Op("syncdir", os.path.dirname(path)))
        return int(self._method(5, _SYNC)(file, flags))

    def _delete(self, vfs: int, name: bytes, sync_directory: int) -> int:
        path = os.fsdecode(name)
        if not self.wants(path):
            return int(ctypes.cast(self._real[1], _DELETE)(vfs, name, sync_directory))
        if os.path.exists(path) and self._observe(Op("unlink", path)):
            return _IOERR_DELETE
        code = int(ctypes.cast(self._real[1], _DELETE)(vfs, name, sync_directory))
        if sync_directory:
            self._observe(Op("syncdir", os.path.dirname(path)))
        return code
