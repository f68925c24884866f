"""Discovery: which devices stand in the store, what they are, and which source to propose for each.

Invariants:

- Nothing is sent to find out. Neighbour table, leases, announcements and the USB tree are read; the one module that
  may connect to a device is `prober`, and only after `probe.plan` has let the request through.
- Events, not polling: an idle room reads nothing and wakes for nothing; a busy LAN wakes it once in `kernel.HOLD_S`.
- Evidence adds up in any order to the same verdict, and no single weak hint names a device (`fingerprint`).
- A device is its hardware (`mac:…`, `usb:…`), never its address; randomised addresses of phones are not kept.
- The inventory is one small file, written when a device appears, moves or is replaced, and never otherwise.
- Makes and models are data (`board/fingerprints.json`, `board/profiles.toml`); a person or a policy approves.

Importing this package loads neither zeroconf nor pyserial nor aiohttp.
"""
