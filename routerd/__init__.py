"""routerd: carries a store's t-log from the POS's wire to one copy in the cloud. See ARCHITECTURE.md."""

__version__ = "0.1.0"
