"""Ages across restarts: stamps of an earlier run on this boot's monotonic clock, and back. Pure."""

from routerd.model import Stamp


def mono_ns_of(stamp: Stamp, now: Stamp) -> int:
    """When `stamp` was, on the monotonic clock of `now`'s boot.

    Of another boot: negative, by the two wall clocks if both could be trusted; else 0, which is when this boot began,
    so that an age counted from it is one that is exceeded.
    """
    if stamp.boot_id == now.boot_id:
        return min(stamp.mono_ns, now.mono_ns)
    if not (stamp.synced and now.synced):
        return 0
    return min(0, now.mono_ns - (now.wall_ms - stamp.wall_ms) * 1_000_000)


def stamp_at(mono_ns: int, now: Stamp) -> Stamp:
    """The stamp that goes with a time on the monotonic clock of `now`'s boot."""
    return Stamp(now.boot_id, mono_ns, now.wall_ms - (now.mono_ns - mono_ns) // 1_000_000, now.synced)
