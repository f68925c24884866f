"""Group commit: one thread owns the store's writing side; what waits while it commits becomes the next commit."""

import logging
import threading
from collections import deque
from concurrent.futures import Future

from fleetd.store import Delivery, Receipt, Store, Usable
from routerd.errors import TransientError

MAX_WAITING_BYTES = 64 << 20  # of memory that may wait: the judging thread stops here, not the memory
MAX_GROUP = 512  # deliveries in one commit, so that no answer waits for an endless one
_SEGMENT_BYTES, _RECORD_BYTES = 1024, 600  # what one costs as an object, beside its data

_log = logging.getLogger(__name__)
_Waiting = tuple[Delivery, "Future[Receipt]"]


class Writer:
    """Start with `start`, hand in with `submit`, end with `close`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._closing = False
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    @property
    def alive(self) -> bool:
        """The thread runs and its last commit succeeded."""
        return self._thread.is_alive() and not self._broken

    def start(self) -> None:
        self._thread.start()

    def submit(self, delivery: Delivery) -> "Future[Receipt]":
        """Queue a delivery; blocks while too many bytes wait. The future ends after the commit, or with its error."""
        future: Future[Receipt] = Future()
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._bytes < MAX_WAITING_BYTES)
            if self._closing:
                raise TransientError("cloud.stopping", "fleetd is stopping")
            self._queue.append((delivery, future))
            self._bytes += _cost(delivery)
            self._changed.notify_all()
        return future

    def close(self) -> None:
        """Commit what is queued, then end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            self._commit(group)

    def _next_group(self) -> list[_Waiting]:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            group = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_GROUP))]
            self._bytes -= sum(_cost(delivery) for delivery, _ in group)
            self._changed.notify_all()
        return group

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            receipts = self._store.commit([delivery for delivery, _ in group])
        except TransientError as exc:
            self._note(exc)
            for _, future in group:
                _fail(future, exc)
        except Exception as exc:  # this thread's supervisor: one delivery that trips a bug must not take others along
            if len(group) == 1:
                _fail(group[0][1], exc)
                return
            for waiting in group:
                self._commit([waiting])
        else:
            self._note(None)
            for (_, future), receipt in zip(group, receipts, strict=True):
                if future.set_running_or_notify_cancel():
                    future.set_result(receipt)

    def _note(self, error: TransientError | None) -> None:
        if error is not None and not self._broken:
            _log.error("cannot store: %s", error)
        if error is None and self._broken:
            _log.warning("storing works again")
        self._broken = error is not None


def _fail(future: "Future[Receipt]", exc: Exception) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(exc)


def _cost(delivery: Delivery) -> int:
    records = sum(len(judged.items) for judged in delivery.segments if isinstance(judged, Usable))
    data = sum(judged.info.raw_bytes for judged in delivery.segments)
    return data + records * _RECORD_BYTES + len(delivery.segments) * _SEGMENT_BYTES
