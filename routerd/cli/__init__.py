"""`routerctl`: what a store or technician sees and does. Talks to the daemon's socket; `frame` needs no daemon."""
