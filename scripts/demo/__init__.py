"""`make demo`: a whole store in a minute, with everything that may go wrong going wrong once.

    python -m scripts.demo                          four tills sell; the WAN is cut; routerd is killed
    python -m scripts.demo --tlog recording.bin     the same for one recorded t-log, played over a serial port

fleetd, the POS simulator and routerd run as they would in a store, each a process of its own, in a temporary folder.

* shell: `processes` (start, stop, logs), `place` (the folder, the configuration, the command lines), `wan` (a TCP proxy
  that can be cut), `cloud` (asks fleetctl), `watch` (samples routerd and the truth), `run` (the minute itself);
* pure: `plan` (what happens when), `truth` (reads what the POS handed over), `recording` (what a file must become),
  `compare` (truth against cloud, ticket by ticket), `view` (the table), `report` (the summary and the JSON line).

Invariants:

* The comparison knows only the truth file and what fleetctl says; nothing routerd says of itself counts as proof.
* Exit status 0 means: every ticket once, with its content, and nothing else. Anything missing or doubled is 1.
* Whatever ends the demo, its processes end with it. The folder stays only after a failure, or with --keep.
"""
