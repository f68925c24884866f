"""fleetd: the reference cloud. It acks only what is durable and keeps one copy of everything."""

from routerd import __version__ as __version__
