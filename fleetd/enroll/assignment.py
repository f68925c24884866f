"""Which store a device's rows belong to: epochs, so that what was captured before a move stays where it was."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assignment:
    """From this epoch on the device is in `store`, "" for none yet. `from_ms` is the cloud's time."""

    epoch: int
    store: str
    from_ms: int


def first(store: str, now_ms: int) -> Assignment:
    """What a device begins with. Its rows of epoch 0, captured before it was known, belong here too."""
    return Assignment(1, store, now_ms)


def assign(history: Sequence[Assignment], store: str, now_ms: int) -> Assignment | None:
    """The assignment to add, or None when the device is there already: asking twice moves nothing twice."""
    if history[-1].store == store:
        return None
    return Assignment(history[-1].epoch + 1, store, now_ms)


def store_of(history: Sequence[Assignment], epoch: int) -> str:
    """The store of rows captured in `epoch`, "" while nobody knows.

    Rows from before the first store wait for it. Rows captured after a device was taken out of a store belong to none:
    a bench is no store, and the next one must not inherit its tickets. An epoch never given counts as the latest.
    """
    named = next((at for at, one in enumerate(history) if one.store), len(history))
    place = min(max(epoch - 1, named), len(history) - 1)
    return history[place].store if history else ""
