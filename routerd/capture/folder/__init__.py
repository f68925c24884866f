"""The link to a folder that a POS drops files into: polled, read when they have settled, never changed.

`transport` runs it; `listing` (pure) decides what is read, tried again or reported; `directory` does the blocking
calls, on threads that `aside` keeps, so that a dead share holds up nothing.
"""
