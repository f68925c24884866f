"""A clock that stands until it is moved."""

from routerd.model import Stamp

BOOT = "0f0e0d0c"


class FakeClock:
    def __init__(self) -> None:
        self.now_ns = 1_000_000_000_000
        self.offset_ms = 1_790_000_000_000  # wall minus monotonic
        self.synced = True

    def mono_ns(self) -> int:
        return self.now_ns

    def wall_ms(self) -> int:
        return self.now_ns // 1_000_000 + self.offset_ms

    def stamp(self) -> Stamp:
        return Stamp(BOOT, self.now_ns, self.wall_ms(), synced=self.synced)

    def move(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)
