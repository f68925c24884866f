"""A point of sale that exists nowhere: it sells, writes its t-log to a line, and remembers every cent.

    python -m scripts.pos sell --serial /tmp/pos0 --truth truth.jsonl --rate 2 --tickets 100
    python -m scripts.pos generate journal --tickets 500 --out journal.bin
    python -m scripts.pos replay recording.bin --timing recording.csv --speed 10 --tcp listen:9301

From the bottom:

* pure: `shop` (what is sold, by whom, by which clock), `sale` (one ticket's nouns), `basket` (draws what a customer
  buys), `trade` (the stream of tickets), and one renderer per format: `journal`, `transset`, `textpos`, `naxml`,
  `poslog`, listed in `formats`; `period` makes a Commander's whole document;
* shell: `lines` and `serial` (TCP and pty carriers), `sell`, `replay`, `generate`, `truth` (what was really handed
  over), `clock` (what time a POS thinks it is), `cli`.

Invariants:

* Everything said is invented. UPCs use number system 4, which GS1 leaves to a shop's own use; card numbers are the
  published test numbers; phone numbers are 555-01xx.
* The same seed and the same times give the same bytes.
* Amounts are integer cents until they are printed.
* A ticket enters the truth file once, after its last byte was handed to the line.
"""
