"""The helper process that listens to mDNS for a few seconds: `python -m routerd.discover.announce SECONDS ADDRESS…`.

It joins the group on the interfaces with these addresses and prints what is announced, a JSON object a line:
`{"address", "type", "name", "host", "model"}`. It sends no question; with `--ask TYPE` one packet asks for all types.
zeroconf and its wake-ups live only as long as this process (Python package zeroconf 0.97 and newer).
"""

import json
import sys
import time

from zeroconf import (  # type: ignore[attr-defined]  # it offers its record types without listing them
    DNSAddress,
    DNSOutgoing,
    DNSQuestion,
    DNSRecord,
    DNSService,
    DNSText,
    IPVersion,
    RecordUpdate,
    RecordUpdateListener,
    Zeroconf,
)

_MAX_LINES = 256
_QUERY, _PTR, _IN = 0, 12, 1  # RFC 1035, 3.2 and 4.1.1
_MODEL_KEYS = (b"ty", b"md", b"model", b"product")  # Bonjour printing 1.2.1 (`ty`, `product`); _device-info (`model`)


class Listener(RecordUpdateListener):
    """Collects records; `lines` puts them together."""

    def __init__(self) -> None:
        self._addresses: dict[str, set[str]] = {}
        self._hosts: dict[str, str] = {}
        self._models: dict[str, str] = {}

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for update in records:
            self.take(update.new)

    def async_update_records_complete(self) -> None:
        """Nothing is decided before the end."""

    def take(self, record: DNSRecord) -> None:
        """One record that was heard."""
        if isinstance(record, DNSAddress) and len(record.address) == 4:
            self._addresses.setdefault(record.name.lower(), set()).add(".".join(map(str, record.address)))
        elif isinstance(record, DNSService):
            self._hosts[record.name] = record.server.lower()
        elif isinstance(record, DNSText) and (model := model_in(record.text)):
            self._models[record.name] = model

    def lines(self) -> list[dict[str, str]]:
        """Every service instance with an address; only what was heard."""
        found = []
        for instance, host in sorted(self._hosts.items()):
            own, _, kind = instance.partition("._")
            row = {"type": f"_{kind}".removesuffix(".local."), "name": own, "host": host.removesuffix(".local.")}
            for address in sorted(self._addresses.get(host, ())):
                found.append({"address": address, **row, "model": self._models.get(instance, "")})
        return found[:_MAX_LINES]


def model_in(text: bytes) -> str:
    """The model in a TXT record (RFC 6763, 6: length-prefixed `key=value`); "" if it names none."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        key, _, value = text[at + 1 : at + 1 + text[at]].partition(b"=")
        found.setdefault(key.lower(), value)
        at += 1 + text[at]
    value = next((found[key] for key in _MODEL_KEYS if found.get(key)), b"")
    return value.decode("utf-8", "replace")


def question(kinds: list[str]) -> DNSOutgoing:
    """One packet that asks who offers these service types (RFC 6762, 5.1: a one-shot PTR query)."""
    out = DNSOutgoing(_QUERY)
    for kind in kinds:
        out.add_question(DNSQuestion(f"{kind}.local.", _PTR, _IN))
    return out


def main(arguments: list[str]) -> int:
    asked = [arguments[at + 1] for at, word in enumerate(arguments[:-1]) if word == "--ask"]
    plain = [word for word in arguments if word != "--ask" and word not in asked]
    seconds, addresses = float(plain[0]), plain[1:]
    listener = Listener()
    zc = Zeroconf(interfaces=addresses, ip_version=IPVersion.V4Only)
    try:
        zc.add_listener(listener, None)
        if asked:
            zc.send(question(asked))
        time.sleep(seconds)
    finally:
        zc.close()
    for line in listener.lines():
        sys.stdout.write(json.dumps(line) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
