"""The link to a Verifone site controller: its period files over HTTPS, with one cookie and as few requests as can be.

`transport` runs it; `rounds` decides what is asked next, `visit` keeps the cookie, `login` the one attempt that a
password gets, `controller` speaks HTTP, `pulls` reads a document; `agenda`, `periods`, `cgi` and `inflate` are pure.
"""
