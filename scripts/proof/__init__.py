"""Proof on recorded data: a POS serves it, routerd captures it, the ledger must come out to the cent.

    make day FILE=transSet.xml        one or more closed periods, served by the Commander emulator
    make folder DIR=some/folder       NAXML or POSLog files, as a Passport drops them

Everything is real but the POS: TLS, cookies, routerd and fleetd as processes. `--kill`, `--cut` and `--year` make it
harder. The last line on stdout is one JSON object; exit status 0 only when nothing is missing.
"""
