"""What is trusted is the image's or a later version, whatever the disk lost or somebody put there."""

import pytest

from routerd.enroll.anchor import Anchor
from routerd.enroll.image import read_image
from routerd.errors import CorruptError
from routerd.wire import base64url, fields, trust
from routerd.wire.trust import pack_bundle
from tests.enroll.cloud import CLAIM, image, version
from tests.fakes.disk import FakeDisk, Loss, PowerCut


def test_the_images_trust_is_the_first_and_the_least() -> None:
    disk = FakeDisk()
    assert Anchor(disk, image()).trust.version == 1
    disk.write("trust.json", pack_bundle(version(3)))
    assert Anchor(disk, image()).trust.version == 3
    newer = read_image(fields.pack({"trust": trust.bundle_values(version(5))}))
    assert Anchor(disk, newer).trust.version == 5


@pytest.mark.parametrize("content", [b"", b"{", pack_bundle(version(9))[:-9]])
def test_a_damaged_file_falls_back_to_the_one_before_it(content: bytes) -> None:
    disk = FakeDisk()
    anchor = Anchor(disk, image())
    anchor.advance(version(2))
    anchor.advance(version(3))
    disk.write("trust.json", content)
    assert Anchor(disk, image()).trust.version == 2


def test_a_cut_anywhere_keeps_a_version_that_was_believed() -> None:
    for loss in Loss:
        for at in range(40):
            disk = FakeDisk()
            Anchor(disk, image()).advance(version(2))
            disk.restart(Loss.NOTHING)
            disk.cut_at = at
            try:
                Anchor(disk, image()).advance(version(3))
            except PowerCut:
                disk.restart(loss)
                assert Anchor(disk, image()).trust.version in (2, 3)
            else:
                assert at == 8
                break


def test_other_bytes_for_the_version_that_is_held_are_disputed() -> None:
    anchor = Anchor(FakeDisk(), image())
    assert not anchor.disputes(version(1))
    assert anchor.disputes(version(1, hosts=("evil.example",)))
    assert not anchor.disputes(version(2))


def test_an_image_without_host_anchor_or_time_key_is_none() -> None:
    with pytest.raises(CorruptError):
        read_image(fields.pack({"trust": trust.bundle_values(version(1, hosts=()))}))
    for claim in ({"id": "x y", "seed": "", "not_after_ms": 1}, {"id": "x", "seed": base64url.encode(b"1")}):
        with pytest.raises(CorruptError):
            read_image(fields.pack({"claim": claim, "trust": trust.bundle_values(version(1))}))


def test_an_image_shows_nothing_of_its_claims_key() -> None:
    assert CLAIM.seed.hex() not in repr(image())
    assert repr(CLAIM.seed) not in repr(image())
