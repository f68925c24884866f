"""XML cut into record elements, whatever stands around them and however it is laid out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from routerd.framing import markup
from routerd.framing.base import MAX_FRAME_BYTES, Piece
from routerd.framing.window import WHITE, Window

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NO_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # XML 1.0, 2.2: these stand in no document
_SEARCHES_KEPT = 32  # a document has one prefix and a handful of record names


@dataclass(slots=True)
class _Open:
    """An element of the record's name being read, and the whole ones inside it; offsets count from the record."""

    start: int
    inner: list[tuple[int, int]] = field(default_factory=list)


class XmlElement:
    """A frame is one record element with the white space before it, sent out the moment its last `>` arrives.

    elements: local names of the record elements; empty means those of transSet, NAXML-POSJournal and POSLog alike.
        Any prefix or none is accepted, and an end tag must carry its start tag's.

    What stands around the records (a document's head, totals, `openCashier` between `trans`) comes as `envelope`
    frames: one ends before a record, one with the root's end tag. Documents may follow each other, and records may
    stand without a root. Comments, CDATA sections and instructions are opaque: no tag in them counts. What begins like
    one and runs on for too long, or holds what never stands in one (`markup.sections`), is none.

    Noise `unframed` is what is no markup where markup must begin. `truncated` is a record in which another one of a
    kind that never nests starts, or its root starts or ends, or an XML declaration stands, or the input ends; of kinds
    that nest, the whole records inside are saved. `oversize` is a record longer than `max_frame_bytes` with its leading
    white space, up to the next record or end of the root.

    A fresh framer fed with `pending` knows all but two things: the root's name (what follows the last record comes in
    more and smaller envelopes) and that an oversize record is being skipped. Which elements are records never depends
    on the head of a document, so the records it cuts are the same.
    """

    def __init__(self, elements: Iterable[str] = (), *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._names = tuple(elements) or tuple(name for family in markup.FAMILIES for name in family)
        self._record = markup.record_start(self._names)
        self._sections = markup.sections(self._names)
        self._max = max_frame_bytes
        self._window = Window(WHITE + _BYTE_ORDER_MARK)
        self._searches: dict[tuple[bytes, bytes], markup.Inside] = {}
        self._set_root(b"")
        self._reset()

    def _reset(self) -> None:
        self._stack: list[_Open] = []
        self._nests = False
        self._inside: markup.Inside | None = None
        self._in_tag = False  # in the start tag of the innermost open element
        self._section: markup.Section | None = None  # being read
        self._section_at = 0  # from the head
        self._section_opens = False  # the envelope began with it
        self._envelope = self._lost = False

    def _set_root(self, root: bytes) -> None:
        self._root = root
        self._searches.clear()
        self._around = markup.around(self._names, root)

    @property
    def pending(self) -> bytes:
        return bytes(self._window.data)

    def feed(self, chunk: bytes) -> list[Piece]:
        self._window.data += chunk
        self._read_on()
        return self._window.take()

    def close(self) -> list[Piece]:
        window = self._window
        while self._section and self._section.never:
            self._disown_section()
            self._read_on()
        end = len(window.data)
        if self._stack:
            self._abandon(end, "truncated")
        elif self._lost:
            window.damage(end, "oversize")
        elif self._envelope:
            tag = window.data.rfind(b"<", window.head)
            if not self._section and window.data.find(b">", tag) < 0:
                self._end_envelope(tag)
                window.damage(end, "truncated")
        else:
            window.skip(end)
            window.flush()
        self._end_envelope(end)
        self._set_root(b"")
        self._reset()
        return window.clear()

    def _read_on(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        if self._section:
            return self._pass_section(self._section)
        if self._in_tag:
            return self._pass_tag()
        if self._stack:
            return self._in_record()
        if self._lost:
            return self._regain()
        return self._in_envelope() if self._envelope and self._root else self._between()

    # Outside records

    def _between(self) -> bool:
        """Nothing but white space came since the last piece, or no root is known yet: look at the next markup."""
        window = self._window
        stop = self._stop() if self._envelope else len(window.data)
        at = window.data.find(b"<", window.scan, stop)
        window.scan = at if at >= 0 else max(window.scan, stop)
        if not self._envelope:
            window.skip(window.scan)
        if at < 0:
            return self._too_long()
        if self._record.match(window.data, at, stop):
            return self._begin_record(at)
        section = markup.SECTION.match(window.data, at, stop)
        if section is not None:
            return self._begin_section(section)
        tag = markup.NAME_START.match(window.data, at, stop)
        if tag is not None and self._root:
            window.flush()
            self._envelope = True
            return True
        if tag is not None:
            return self._first_tag(at, stop)
        if markup.is_undecided(window.data, at, stop):
            return self._too_long()
        window.scan = at + 1
        return True

    def _first_tag(self, at: int, stop: int) -> bool:
        """The first tag of a document, or a stray one: it must be whole and well-formed, or it is no markup."""
        window = self._window
        end = markup.tag_end(window.data, at, stop)
        if not end:
            return self._too_long()
        if end < 0 or not markup.WHOLE_TAG.fullmatch(window.data, at, end):
            window.scan = at + 1
            return True
        window.scan = end
        window.flush()
        self._envelope = True
        if window.data[at + 1] == ord("/") or window.data[end - 2] == ord("/"):
            self._end_envelope(end)
        else:
            name = markup.NAME_START.match(window.data, at)
            self._set_root(name.group(2) if name else b"")
        return True

    def _in_envelope(self) -> bool:
        window = self._window
        stop = self._stop()
        found = self._around.search(window.data, window.scan, stop)
        if found is None:
            window.scan = markup.last_token(window.data, window.scan, stop)
            return self._too_long()
        if found.lastgroup == "record":
            return self._begin_record(found.start())
        if found.lastgroup == "end":
            self._end_envelope(found.end())
            self._set_root(b"")
        elif found.lastgroup == "again":
            self._end_envelope(window.solid(found.start()))
            self._set_root(b"")
        else:
            return self._begin_section(found)
        window.scan = window.head
        return True

    def _begin_section(self, section: re.Match[bytes]) -> bool:
        window = self._window
        if markup.is_xml_declaration(window.data, section.start()):
            if self._envelope:
                self._end_envelope(window.solid(section.start()))
            self._set_root(b"")
        window.flush()
        self._section_opens = not self._envelope
        self._envelope = True
        self._enter_section(section)
        return True

    def _end_envelope(self, end: int) -> None:
        window = self._window
        if end > window.head:
            if _NO_XML.search(window.data, window.head, end):  # garbage in which something looked like a tag
                window.damage(end, "unframed")
            else:
                window.frame(end, envelope=True)
        self._envelope = False

    def _regain(self) -> bool:
        """Something too long is being skipped, up to where a record or a document starts or ends."""
        window = self._window
        found = self._around.search(window.data, window.scan)
        while found is not None and not self._resumes(found):
            found = self._around.search(window.data, found.end())
        if found is None:
            window.scan = markup.last_token(window.data, window.scan, len(window.data))
            window.noise(window.scan, "oversize")
            return False
        window.damage(found.start(), "oversize")
        window.scan = found.start()
        self._lost = False
        return True

    def _resumes(self, found: re.Match[bytes]) -> bool:
        return found.lastgroup in ("record", "end", "again") or markup.is_xml_declaration(
            self._window.data, found.start()
        )

    # Inside a record

    def _begin_record(self, at: int) -> bool:
        window = self._window
        found = self._record.match(window.data, at)
        if found is None:
            return False
        if self._envelope:
            self._end_envelope(window.solid(at))
        window.flush()
        self._reset()
        prefix, name = found.groups()
        self._nests = name.decode() not in markup.NEVER_NEST
        self._inside = self._search_inside(prefix, name)
        self._stack.append(_Open(at - window.head))
        self._in_tag = True
        return True

    def _search_inside(self, prefix: bytes, name: bytes) -> markup.Inside:
        key = (prefix, name)
        if key not in self._searches:
            if len(self._searches) >= _SEARCHES_KEPT:
                self._searches.clear()
            known = name.decode()
            family = next((names for names in markup.FAMILIES if known in names), (known,))
            kin = [prefix + kin.encode() for kin in family if kin in self._names]
            self._searches[key] = markup.Inside(prefix + name, kin, self._root)
        return self._searches[key]

    def _in_record(self) -> bool:
        window = self._window
        inside = self._inside
        while inside is not None:
            stop = self._stop()
            found = inside.any.search(window.data, window.scan, stop)
            if found is None:
                window.scan = markup.last_token(window.data, window.scan, stop)
                return self._too_long()
            window.scan = at = found.start()
            if len(self._stack) > 1 or not window.data.startswith(inside.end, at, stop):
                return self._token(inside.token.match(window.data, at, stop), stop)
            window.frame(at + len(inside.end))
            window.scan = window.head
            inside = self._repeated(inside)
        return True

    def _repeated(self, inside: markup.Inside) -> markup.Inside | None:
        """A record has ended. Most are followed by one of the same name, at once: begin that, or leave the record."""
        window = self._window
        again = inside.again.match(window.data, window.head, min(self._stop(), window.head + markup.TAG_BYTES))
        if again is None:
            self._reset()
            return None
        self._stack[0] = _Open(again.start(1) - window.head)
        window.scan = again.end()
        return inside

    def _token(self, found: re.Match[bytes] | None, stop: int) -> bool:
        """Something that may matter starts where the scan stands; None if it cannot (yet) be told what."""
        window = self._window
        if found is None:
            if markup.is_undecided(window.data, window.scan, stop):
                return self._too_long()
            window.scan += 1
            return True
        kind = found.lastgroup
        window.scan = found.end()
        if kind == "end":
            self._close_element(found.end())
        elif kind == "start" and self._nests:
            self._stack.append(_Open(found.start() - window.head))
            self._in_tag = True
        elif kind in ("start", "root") or markup.is_xml_declaration(window.data, found.start()):
            self._abandon(found.start(), "truncated")
        else:
            self._enter_section(found)
        return True

    def _pass_tag(self) -> bool:
        window = self._window
        at = window.head + self._stack[-1].start
        end = markup.tag_end(window.data, at, self._stop())
        if not end:
            return self._too_long()
        self._in_tag = False
        window.scan = abs(end)
        if end > 0 and window.data[end - 2] == ord("/"):
            self._close_element(end)
        elif end < 0 and len(self._stack) > 1:
            self._stack.pop()
        elif end < 0:
            self._abandon(-end, "truncated")
        return True

    def _close_element(self, end: int) -> None:
        element = self._stack.pop()
        if self._stack:
            self._stack[-1].inner.append((element.start, end - self._window.head))
        else:
            self._window.frame(end)

    def _abandon(self, end: int, reason: str) -> None:
        """No element on the stack will be whole: save the whole ones inside them, the rest up to `end` is noise."""
        window = self._window
        base = window.head
        for start, stop in [span for element in self._stack for span in element.inner]:
            window.damage(window.solid(base + start), reason)
            window.frame(base + stop)
        window.damage(end, reason)
        window.scan = end
        self._reset()

    # Either

    def _stop(self) -> int:
        """Nothing from here on may be looked at: whether something is too long must not depend on the chunks."""
        return min(len(self._window.data), self._window.head + self._max)

    def _enter_section(self, found: re.Match[bytes]) -> None:
        self._section = self._sections[found.lastgroup or ""]
        self._section_at = found.start() - self._window.head
        self._window.scan = found.end() - 1

    def _pass_section(self, section: markup.Section) -> bool:
        window = self._window
        begin = window.head + self._section_at
        stop = min(self._stop(), longest := begin + section.most_bytes)
        broken = section.never.search(window.data, begin + 1, stop) if section.never else None
        at = window.data.find(section.end, window.scan, broken.start() if broken else stop)
        if at < 0 and (broken or stop == longest):
            return self._disown_section()
        if at < 0:
            window.scan = max(window.scan, stop - len(section.end) + 1)
            return self._too_long()
        window.scan = at + len(section.end)
        self._section = None
        return True

    def _disown_section(self) -> bool:
        """It only looked like one: read it again without, as text of the record or envelope it is in, or as noise."""
        self._window.scan = self._window.head + self._section_at + 1
        self._section = None
        self._envelope = self._envelope and not self._section_opens
        return True

    def _too_long(self) -> bool:
        """Ask when nothing ended what is being read: can it still be a frame? If not, give it up."""
        window = self._window
        limit = window.head + self._max
        if len(window.data) < limit or not (self._stack or self._envelope):
            return False
        if len(self._stack) > 1:
            self._give_up_outermost()
            return True
        # A token may straddle the limit: what starts with the last `<` is read again.
        last = markup.last_token(window.data, window.head + 1, limit)
        self._abandon(last, "oversize")
        self._lost = True
        return True

    def _give_up_outermost(self) -> None:
        """The outermost element is too long, but one inside it is still being read and becomes the record."""
        window = self._window
        base = window.head
        outermost = self._stack.pop(0)
        for start, stop in outermost.inner:
            window.damage(window.solid(base + start), "oversize")
            window.frame(base + stop)
        window.damage(window.solid(base + self._stack[0].start), "oversize")
        moved = window.head - base
        self._section_at -= moved
        for element in self._stack:
            element.start -= moved
            element.inner = [(start - moved, stop - moved) for start, stop in element.inner]
