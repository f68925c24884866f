"""`make demo`: a whole store in a minute, with everything that may go wrong going wrong once.

    python -m scripts.demo                          six sources sell; the WAN is cut; routerd is killed; a day closes
    python -m scripts.demo --tlog recording.bin     the same for one recorded t-log, played over a serial port

fleetd, the POS simulators and routerd run as they would in a store, each a process of its own, in a temporary folder.
Four tills speak over lines; a Commander (HTTPS) and a Passport (a folder of files) are read. No link asks a Commander
more often than once a minute, so here it is asked when routerd starts, and when a minute has passed since. When it has
closed its day, `routerctl backfill` asks for that, as support would.

* shell: `processes` (start, stop, logs), `place` (the folder, the configuration, the command lines), `wan` (a TCP proxy
  that can be cut), `site` (Commander and Passport), `cloud` (asks fleetctl), `watch` (samples routerd), `acts` (what
  the POSes do), `run` (the minute itself);
* pure: `plan` (what happens when), `truth` (reads what the POS handed over), `recording` (what a file must become),
  `compare` (truth against cloud, ticket by ticket), `ledger` (the closed day's verdict), `scene` and `view`
  (the table), `report` (the summary and the JSON line).

Invariants:

* The comparison knows only the truth files and what fleetctl says; nothing routerd says of itself counts as proof.
* Exit status 0 means: every ticket once, with its content, and nothing else, and the closed day complete to the cent by
  the ledger. Anything missing or doubled is 1.
* Whatever ends the demo, its processes end with it. The folder stays only after a failure, or with --keep.
"""
