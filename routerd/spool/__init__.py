"""Where segments live until the cloud acknowledges them.

Invariants:

1. A record handed to `append` is in RAM-backed files when `append` returns: SIGKILL loses nothing.
2. Within `safe_within_s` of its last byte a record is acknowledged or on flash, in a synced commit.
3. Every record is in exactly one place of the sum: captured = processed + uploaded + queued + quarantined + gaps.
4. Nothing waiting is deleted, except by the full policy, which leaves a `Gap` for it.
5. Idle means no write; an ack never causes one (but the last ack of an outage, one page).
6. Opening after any crash yields every committed record; a damaged file is set aside, salvaged, never deleted.
"""
