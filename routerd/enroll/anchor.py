"""The trust that is held: the image's or a later one of its chain, kept as the bundle that travelled."""

from routerd.enroll.disk import Disk, write_durably
from routerd.enroll.image import Image
from routerd.errors import CorruptError
from routerd.wire.trust import Bundle, Trust, pack_bundle, read_bundle, read_trust, successor

_CURRENT, _BEFORE = "trust.json", "trust.prev.json"


class Anchor:
    """`trust` is never older than the image's, and only ever replaced by its successor."""

    def __init__(self, disk: Disk, image: Image) -> None:
        """Raises OSError. A damaged file counts for nothing: the chain is fetched again from what is left."""
        self._disk = disk
        kept = [found for name in (_CURRENT, _BEFORE) if (found := self._read(name))]
        best = max([image.bundle, *kept], key=lambda bundle: read_trust(bundle.payload).version)
        self._bundle = best
        self.trust: Trust = read_trust(best.payload)

    def advance(self, bundle: Bundle) -> Trust:
        """Believe the next version, durably. Raises CorruptError as `successor` does, OSError."""
        trust = successor(self.trust, bundle)
        write_durably(self._disk, _BEFORE, pack_bundle(self._bundle))
        write_durably(self._disk, _CURRENT, pack_bundle(bundle))
        self._bundle, self.trust = bundle, trust
        return trust

    def disputes(self, bundle: Bundle) -> bool:
        """Whether somebody shows other bytes for the version that is held."""
        try:
            same_version = read_trust(bundle.payload).version == self.trust.version
        except CorruptError:
            return False
        return same_version and bundle.payload != self._bundle.payload

    def _read(self, name: str) -> Bundle | None:
        try:
            bundle = read_bundle(self._disk.read(name))
            read_trust(bundle.payload)
        except (FileNotFoundError, CorruptError):
            return None
        return bundle
