"""Segments to the cloud, acks back.

Invariants:

* A segment is sent as stored; its identity (stream, first seq, count) never changes between attempts.
* Only the cloud's own ack removes anything. No error, status or silence does.
* Retries run on a timer, one lane at a time while the cloud is away; live data never waits behind a backlog.
"""
