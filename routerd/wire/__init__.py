"""What travels between router and cloud, both ways. Pure; `tests/vectors/` rules, prose follows.

* body: the records of a segment before compression (`body.py`)
* codec: how a body becomes a payload (`codec.py`), with the shipped dictionaries (`dictionaries/`)
* batch: segments up, acks down (`batch.py`)
* answers: what an HTTP status and error code mean to a router (`answers.py`)

Invariants: a payload is compressed once and then stored, sent and deleted as the same bytes; a record's identity
(device, stream, seq) is fixed before its first send; decoding hostile bytes raises `CorruptError` and nothing else,
in memory bounded by the declared limits.
"""
