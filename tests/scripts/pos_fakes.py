"""Lines that say when their other end may come, and the router's framers as a site would set them up."""

import asyncio

from routerd.framing import Framer, build
from routerd.tlog import dialect
from scripts.pos.lines import TcpLine
from scripts.pos.serial import PtyLine
from scripts.pos.textpos import END, START


class AnnouncedTcp(TcpLine):
    """A listening line; `opened` is set while it listens."""

    def __init__(self, resend_s: float = 3.0) -> None:
        super().__init__("127.0.0.1", 0, listen=True, resend_s=resend_s)
        self.opened = asyncio.Event()

    async def open(self) -> None:
        await super().open()
        self.opened.set()

    async def cut(self, for_s: float) -> None:
        self.opened.clear()
        await super().cut(for_s)


class AnnouncedPty(PtyLine):
    """A serial line; `opened` is set once its path exists."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.opened = asyncio.Event()

    async def open(self) -> None:
        await super().open()
        self.opened.set()


def framed_by(known: str) -> Framer:
    """The framer a router would be configured with for a format of the simulator."""
    if known == "journal":
        return build("esc-journal", {})
    if known == "text":
        return build("text", {"start": START, "end": END, "line": r"\r\n"})
    if known == "stx":
        return build("text", {"mode": "stx"})
    return build("xml-element", {}, dialect(known).elements)
