"""`make bench`: every promise with a number, measured beside a bound of the same run.

    python -m scripts.bench                     everything, about eight minutes
    python -m scripts.bench --only framing      one measurement
    python -m scripts.bench --quick             a tenth of the work: does it run, are the numbers plausible?

Invariants:

* No number is carried over from another run: a bound or a peer is measured beside what it is compared with.
* Speed is CPU time, not wall time, wherever a process can be asked for it: the machine may be shared.
* What cannot be measured here says why in its row, and is no failure; a measurement that breaks is.
* What is emulated or left out stands in the row's note.

From the bottom: `table` (rows, verdicts, the printed table, JSON), `recordings` (generated t-logs), `process` (what
/proc says of a process), `stack` (the real routerd and fleetd beside each other), `selling` (a live POS), `proxy` (a
relay that counts), `blockdev` (a file system on a device that counts what it is asked to write), `ownclock` (the real
spool, its clock moved by hand), `minutes` (the real routerd, the minutes of its Commander link shortened), `naive` (a
client that keeps nothing between two polls), `cases` (the list). Each other module is one measurement.
"""
