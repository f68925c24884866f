"""What the router says of itself: the health document, and the answer to a ping within its deadline.

* document: facts become a document of the wire's shape (pure)
* ping: how long a ping may take, and what came of it (pure)
* probes: asks everything at once and waits for nobody too long

Invariants: a document always goes out whole and on time, with the probes that missed theirs named; it holds no t-log
content, no key and no secret.
"""
