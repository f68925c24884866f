"""Faults made on purpose, and the proof of what survives them: power cuts, kills, bad disks, bad lines, bad bytes.

    cut     power cuts of the spool, at every kind of moment; `--seed N` repeats one
    soak    both daemons for minutes under mixed faults: nothing grows, everything balances
    fuzz    bytes that nobody sent on purpose, into everything that reads bytes from outside

What a power cut leaves is made in two ways:

* modelled (`disk`): every write, truncate, sync, rename and unlink below data_dir is seen as it happens, SQLite's own
  through its VFS and Python's through `os` (`tap`). For a cut at any of them, what was not synced yet is dropped, kept
  in part, torn at 512-byte sectors or garbage; names follow an ordered journal (ext4) or nothing but their own sync
  (POSIX). It needs no privilege and shows every reordering between two barriers.
* real (`ext4`): the same work on an ext4 of its own; at the moment of the cut the file system is shut down without
  flushing its log (EXT4_IOC_SHUTDOWN), mounted again and its journal replayed. It needs root and a loop device; it
  shows what a kernel really keeps, but tears no block.

Neither shows a flash that lies about a flush, a translation layer that loses old blocks (paired pages), or UBIFS and
f2fs themselves. The RAM disk is gone after a cut, the clock another boot's.
"""
