"""A receiver that samples another's line: what a UART makes of bytes sent at settings it was not set to."""

from collections.abc import Iterator

from routerd.discover.serialguess import Settings

_GAP_BITS = 2  # a till's own pauses between bytes


def line(data: bytes, sent: Settings) -> list[int]:
    """The levels of the wire, one per bit time of the sender."""
    levels = [1] * 20
    for value in data:
        bits = [value >> at & 1 for at in range(sent.data_bits)]
        parity = [] if sent.parity == "N" else [(sum(bits) + (sent.parity == "O")) & 1]
        levels += [0, *bits, *parity, *([1] * sent.stop_bits), *([1] * _GAP_BITS)]
    return levels + [1] * 20


def received(data: bytes, sent: Settings, read: Settings) -> bytes:
    """What a tty set to `read` with PARMRK gives of `data` sent as `sent` (termios(3))."""
    return b"".join(_marked(value, is_good) for value, is_good in _sampled(line(data, sent), sent.baud, read))


def _sampled(levels: list[int], baud: int, read: Settings) -> Iterator[tuple[int, bool]]:
    per_bit = baud / read.baud  # the sender's bit times in one of the receiver's

    def level(at: float) -> int:
        return levels[int(at)] if int(at) < len(levels) else 1

    at = 0.0
    while at < len(levels):
        if level(at):
            at = int(at) + 1.0
            continue
        bits = [level(at + (1.5 + n) * per_bit) for n in range(read.data_bits + (read.parity != "N") + 1)]
        *value, stop = bits
        is_good = bool(stop)
        if read.parity != "N":
            is_good = is_good and sum(value) & 1 == (read.parity == "O")
            value = value[:-1]
        yield sum(bit << n for n, bit in enumerate(value)), is_good
        at += (read.data_bits + (read.parity != "N") + 1.5) * per_bit  # the middle of the stop bit
        while at < len(levels) and not level(at):
            at += 1.0  # after a damaged byte a receiver waits for the line to rise


def _marked(value: int, is_good: bool) -> bytes:
    if not is_good:
        return bytes([0xFF, 0, value])
    return b"\xff\xff" if value == 0xFF else bytes([value])
