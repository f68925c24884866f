"""A Gilbarco Passport's outbox that exists nowhere: a folder of NAXML files, and all that befalls it.

    python -m scripts.passport /tmp/BOOutBox --tickets 400 --speed 60 --truth truth.jsonl
    python -m scripts.passport /tmp/BOOutBox --copy recorded/ --every-s 5

From the bottom:

* pure: `drops` (what is dropped when: generated events, roll-ups and closes, or copies of recorded files);
* shell: `outbox` (writes the files as slowly as a POS does, and the levers), `levers` (the same by name), `cli`.

Each sale is a file `PJR<number>.xml` of one event, NAXML 3.4 without namespace. The end of the business day (22:50)
drops `StoreClose<day>.xml`, and `PJRSHIFT<day>.xml` with the day's events once more where roll-ups are wanted: the same
bytes. No genuine file is public; the shape follows what users of genuine sites published: prologue, version, no
namespace, no store and no end time in the event, refunds negative, pay-at-pump on registers from 10001, change as a
negative tender. What a StoreClose file holds is not known; here it is each register's close event as another make
writes it, with the number of its customers.

Invariants:

* A file appears under its own name at once and grows in place, several at a time; nothing but its size says when it
  is whole.
* The same seed gives the same files, however fast the clock runs and whatever befalls the folder.
* The truth file gets a line for each event when its file is whole.
"""
