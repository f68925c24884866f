"""Which speeds a serial port can be set to. Pure."""

# asm-generic/termbits.h, B300 to B921600: what Linux drivers know by name
_NAMED = (300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000, 576000, 921600)
_CLOCK_BAUD = 115200  # a PC's UART counts 1.8432 MHz down by whole numbers and samples each bit 16 times (16550 family)
_LARGEST_DIVISOR = 0xFFFF
# What a receiver of 7 or 8 bits may miss, half of what both ends may miss together (Microchip's USART data sheets)
_TOLERANCE = 0.02


def impossible_baud(baud: int) -> str:
    """Why no port can be set to `baud` (bits a second), with the nearest speed that is one; "" if one can.

    A speed is possible if Linux has a name for it, or if 115200 divided by a whole number is within 2 % of it.
    """
    if baud in _NAMED:
        return ""
    if 0 < baud <= _CLOCK_BAUD:
        divisor = round(_CLOCK_BAUD / baud)
        if divisor <= _LARGEST_DIVISOR and abs(_CLOCK_BAUD / divisor - baud) <= baud * _TOLERANCE:
            return ""
    nearest = min(_NAMED, key=lambda each: abs(each - baud))
    return f"baud {baud}: no serial port runs at that speed: set {nearest}, or what the POS is set to"
