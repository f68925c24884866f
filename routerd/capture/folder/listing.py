"""What the looks at a folder say: which files to read, which to try again, which were taken away. Pure: time comes in.

Taken files of a folder that nobody purges are told by their names alone; whether one was written anew is looked at in
turns, so that a look costs the same however many files lie there. The newest are looked at each time.
"""

import hashlib
from collections.abc import Set
from dataclasses import dataclass

from routerd.backoff import Backoff

MAX_DOCUMENT_CHARS = 255  # of a document's name on the wire
TURNS = 30  # looks in which each taken file is looked at again: five minutes of polls at 10 s
RECENT = 64  # files taken last: an hour of a busy store's tickets, and any file that is still being added to


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as one look saw it. `inode` tells a file that was renamed; 0 size and time where they are refused."""

    name: str
    inode: int
    size: int
    mtime_ns: int

    @property
    def document(self) -> str:
        """What the file in this version is called: its name, and what makes a rewritten file another document.

        `PJR0001.xml@5914-1772144354000000000`. What does not print is escaped, what is too long ends in a digest.
        """
        name = self.name if self.name.isprintable() else ascii(self.name)[1:-1]
        version = f"@{self.size}-{self.mtime_ns}"
        if len(name) + len(version) > MAX_DOCUMENT_CHARS:
            mark = "~" + hashlib.blake2b(ascii(self.name).encode(), digest_size=8).hexdigest()
            name = name[: MAX_DOCUMENT_CHARS - len(version) - len(mark)] + mark
        return name + version

    @property
    def version(self) -> int:
        """Small to keep for thousands of files."""
        return hash((self.size, self.mtime_ns))


@dataclass(frozen=True, slots=True)
class Sight:
    """One look: the names of all files that match, and entries of those that were looked at closely.

    `mounted`: the folder is where another file system begins. `place` tells it from another folder of its name.
    """

    present: set[str]
    entries: list[Entry]
    mounted: bool
    place: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look brought: files met for the first time in this version, and files that went before they were taken
    (two looks did not find them, nor another name of theirs)."""

    fresh: list[Entry]
    stolen: list[Entry]


@dataclass(slots=True)
class _Wish:
    """A file to read, and how that went so far."""

    entry: Entry
    due_s: float
    tries: int = 0
    failing_since_s: float = 0.0
    why: str = ""
    is_missing: bool = False  # from the last look: a listing that overlaps with changes may pass over a file once


class Listing:
    """All files of one folder. Times are seconds of one monotonic clock."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._known: dict[str, int] = {}  # read, or taken in an earlier run: name -> version
        self._recent: dict[str, None] = {}  # of these the last, in order
        self._torn: set[str] = set()  # of these the files that were not whole
        self._wishes: dict[str, _Wish] = {}
        self._anew: set[str] = set()
        self._unturned: list[str] = []  # known files whose turn comes yet, and how many each look takes
        self._share = 0

    def turn(self) -> set[str]:
        """A look begins: which of the known files it takes the size and time of."""
        if not self._unturned:
            self._unturned = list(self._known)
            self._share = -(-len(self._unturned) // TURNS)
        cut = max(0, len(self._unturned) - self._share)
        share = self._unturned[cut:]
        del self._unturned[cut:]
        return {*share, *self._recent, *self._torn}

    @property
    def known(self) -> Set[str]:
        """Files that need not be read unless they changed."""
        return self._known.keys()

    def see(self, sight: Sight, now_s: float) -> Changes:
        """Take in a look that ended at `now_s`."""
        fresh = [entry for entry in sight.entries if self._meet(entry, now_s)]
        stolen = self._miss([name for name in self._wishes if name not in sight.present], fresh)
        if not self._known.keys() <= sight.present:
            for name in self._known.keys() - sight.present:
                self._forget(name)
        return Changes(fresh, stolen)

    def ready(self, now_s: float) -> list[Entry]:
        """Files to read now, oldest first: unchanged for `settle_s` in a look that began at `now_s`, not put off."""
        entries = [wish.entry for wish in self._wishes.values() if wish.due_s <= now_s]
        return sorted(entries, key=_age)

    def done(self, entry: Entry, *, whole: bool) -> None:
        """`entry` was read to its end: it is read again only when it changes."""
        self._wishes.pop(entry.name, None)
        self._anew.discard(entry.name)
        self._forget(entry.name)
        self._known[entry.name] = entry.version
        self._recent[entry.name] = None
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        if not whole:
            self._torn.add(entry.name)

    def put_off(self, entry: Entry, now_s: float, why: str, backoff: Backoff, chance: float) -> None:
        """`entry` could not be read: it is tried again after a while, the others go on."""
        wish = self._wishes.get(entry.name)
        if wish:
            wish.failing_since_s = wish.failing_since_s if wish.tries else now_s
            wish.due_s = now_s + backoff.wait_s(wish.tries, chance)
            wish.tries += 1
            wish.why = why

    def again(self, entry: Entry, now_s: float, *, anew: bool) -> None:
        """Queue `entry` whether or not it was read; `anew` goes with it to `is_anew`."""
        self._forget(entry.name)
        if entry.name not in self._wishes:
            self._wishes[entry.name] = _Wish(entry, now_s + self._settle_s)
        if anew:
            self._anew.add(entry.name)

    def is_anew(self, entry: Entry) -> bool:
        return entry.name in self._anew

    @property
    def is_settling(self) -> bool:
        """Does any file only wait for having stood unchanged long enough?"""
        return any(not wish.tries for wish in self._wishes.values())

    @property
    def waiting(self) -> list[Entry]:
        """All that is not read yet, oldest first."""
        return sorted((wish.entry for wish in self._wishes.values()), key=_age)

    @property
    def torn(self) -> list[str]:
        """Names of the files that were not whole, sorted."""
        return sorted(self._torn)

    def failing(self, since_s: float) -> list[tuple[str, str]]:
        """(name, why) of files that have not been readable since `since_s` or longer, sorted."""
        return sorted(
            (name, wish.why) for name, wish in self._wishes.items() if wish.tries and wish.failing_since_s <= since_s
        )

    def _miss(self, names: list[str], fresh: list[Entry]) -> list[Entry]:
        """The files among `names`, which a look did not find, that are gone for good; a renamed one is not."""
        arrived = {(entry.inode, entry.version) for entry in fresh} if names else set()
        stolen = []
        for name in names:
            wish = self._wishes[name]
            is_renamed = (wish.entry.inode, wish.entry.version) in arrived  # an inode alone is soon used again
            if not is_renamed and not wish.is_missing:
                wish.is_missing = True
                continue
            if not is_renamed:
                stolen.append(wish.entry)
            del self._wishes[name]
            self._anew.discard(name)
            self._torn.discard(name)
        return stolen

    def _meet(self, entry: Entry, now_s: float) -> bool:
        """Is this version of the file new?"""
        wish = self._wishes.get(entry.name)
        if wish is None:
            if self._known.pop(entry.name, None) == entry.version:
                self._known[entry.name] = entry.version
                return False
            self._wishes[entry.name] = _Wish(entry, now_s + self._settle_s)
            return True
        wish.is_missing = False
        if wish.entry == entry:
            return False
        wish.entry, wish.due_s = entry, now_s + self._settle_s
        return True

    def _forget(self, name: str) -> None:
        self._known.pop(name, None)
        self._recent.pop(name, None)
        self._torn.discard(name)


def _age(entry: Entry) -> tuple[int, str]:
    return entry.mtime_ns, entry.name
