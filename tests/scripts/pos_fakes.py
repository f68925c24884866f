"""Lines that say when their other end may come."""

import asyncio

from scripts.pos.lines import PtyLine, TcpLine


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
