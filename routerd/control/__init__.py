"""The local socket: snapshots out, a few intents in. One JSON line each way, then the connection ends.

Invariants: the socket is mode 0600; a request costs no disk write; no payload, card data or secret is ever answered.
"""
