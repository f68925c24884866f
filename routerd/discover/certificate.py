"""The issuer's name in a DER certificate. Pure.

The standard library tells it only of certificates it has verified, and a store's devices sign their own.
Format: RFC 5280, 4.1: Certificate { tbsCertificate { [0] version, serial, algorithm, issuer … } … }.
"""

_SEQUENCE, _SET, _OID, _VERSION = 0x30, 0x31, 0x06, 0xA0
_COMMON_NAME, _ORGANISATION = b"\x55\x04\x03", b"\x55\x04\x0a"
_MAX_CHARS = 80


def issuer_of(der: bytes) -> str:
    """The issuer's common name, else its organisation, else ""; also "" for bytes that are no certificate."""
    try:
        certificate, _ = _open(der, _SEQUENCE)
        body, _ = _open(certificate, _SEQUENCE)
        if body[:1] == bytes([_VERSION]):
            _, body = _open(body, _VERSION)
        for _ in range(2):  # serial number, algorithm
            _, body = _open(body, body[0])
        issuer, _ = _open(body, _SEQUENCE)
        names = _names(issuer)
    except (IndexError, ValueError):
        return ""
    text = names.get(_COMMON_NAME) or names.get(_ORGANISATION) or b""
    return "".join(c for c in text.decode("utf-8", "replace") if c.isprintable())[:_MAX_CHARS]


def _names(issuer: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    while issuer:
        group, issuer = _open(issuer, _SET)
        pair, _ = _open(group, _SEQUENCE)
        kind, rest = _open(pair, _OID)
        found[kind], _ = _open(rest, rest[0])
    return found


def _open(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """(content, what follows) of the element at the start of `data`. ValueError for another tag or a cut element."""
    if data[0] != tag:
        raise ValueError(f"tag {data[0]:#x}")
    length, at = data[1], 2
    if length & 0x80:
        at += length & 0x7F
        length = int.from_bytes(data[2:at], "big")
    if at + length > len(data):
        raise ValueError("cut")
    return data[at : at + length], data[at + length :]
