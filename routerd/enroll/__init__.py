"""A device obtains its identity and keeps it: key, hardware, trust, clock, admission.

* hardware, probe: which box this is (pure; what the machine says of itself)
* disk, identity: the identity's files, whole after any power cut
* image: the claim and the trust that are burnt into the firmware
* trusted: the clock that signed time gives the daemon (pure)
* state: what an answer means for the device's standing (pure)
* signer: who signs requests
* enrollment: the room
* lint: what an image must not hold

Invariants: no packet leaves before the key is durable and the hardware is the one it was made on; a box has one key at
a time, and a power cut anywhere never makes it two devices; an identity that does not belong here is set aside whole,
never deleted; no answer and no missing answer ever deletes data; nothing on the device expires.
"""
