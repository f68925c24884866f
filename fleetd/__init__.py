"""fleetd: the reference cloud. It acks only what is durable and keeps one copy of everything.

* judge: bytes of a request -> segments, each usable or not, on its own (`judge.py`, pure)
* store: what is kept and what can be asked of it (`store.py`), on SQLite in `sqlite_*.py`
* writer: one thread, one transaction for all the requests that wait (`writer.py`)
* ledger: the follower reads what is stored, decodes it and judges days (`ledger/`, `decode/`), in a file of its own
* server: TLS, the verification order, one shape for every error (`server.py`, `service.py`, `ingest.py`, `http.py`)
* fleetctl: reads both files while fleetd runs (`cli*.py`, `terminal.py`, `tables.py`)

Invariants: an answer leaves after the commit it speaks of; there is one copy per (device, stream, seq) and one
transaction per (device, POS identity); a segment that contradicts what is stored is refused, never acknowledged as a
duplicate; nothing of one device is visible or countable under another; hostile bytes cost bounded memory and never
an answer outside the error table.
"""

from routerd import __version__ as __version__
