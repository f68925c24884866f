"""The ledger: what the POS says it sold against what arrived, to the cent, per store and business day.

Records are decoded after they are stored (`decode/`), into a book of its own that can be written anew from the records
at any time. Invariants:

* Nothing here can delay or refuse an upload: the book follows the store at its own pace.
* A record that cannot be decoded is set aside, visible, and tried again by `fleetctl reprocess`; the others go on.
* Money is whole cents, from text to total; never a float.
* Every figure of a day can be traced to records, and every record's bytes stay beside what was read from them.
"""
