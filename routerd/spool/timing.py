"""When sealing and committing are due. Pure: told the time, it says what to do, and the spool does it."""

from routerd.config import SpoolConfig
from routerd.spool.index import Held, Index

_COMMIT_MARGIN_S = 0.3  # what a slow flash may take for one commit


class Timing:
    def __init__(self, config: SpoolConfig) -> None:
        self.cloud_reachable = True
        margin_s = min(_COMMIT_MARGIN_S, config.safe_within_s / 4)
        self._live_ns = int(config.seal_after_s * 1e9)
        self.safe_ns = int((config.safe_within_s - margin_s) * 1e9)  # from a last byte to the start of its commit
        self.hot_limit_bytes = config.hot_limit_kb << 10

    @property
    def seal_ns(self) -> int:
        """How long a record waits for company. While the cloud is away, to the deadline: fewer, denser segments."""
        return self._live_ns if self.cloud_reachable else self.safe_ns

    def is_full(self, index: Index) -> bool:
        return index.hot_bytes >= self.hot_limit_bytes

    def commit_ns(self, index: Index) -> int | None:
        """When the oldest record that only RAM holds is to go to flash."""
        oldest_ns = index.oldest_hot_ns()
        return None if oldest_ns is None else oldest_ns + self.safe_ns

    def due(self, index: Index, now_ns: int) -> list[Held]:
        """What to commit now: with one segment at its deadline, all that would be due soon goes along."""
        oldest_ns = index.oldest_hot_ns()
        full = self.is_full(index)
        if oldest_ns is None or (oldest_ns + self.safe_ns > now_ns and not full):
            return []
        newest_ns = now_ns - self.safe_ns // 2
        everything = full or not self.cloud_reachable
        return [held for held in index.hot.values() if everything or held.since_ns <= newest_ns]
