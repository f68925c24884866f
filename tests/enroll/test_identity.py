"""One box, one key: made before the first packet, whole after any power cut, never taken to another box."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from routerd.enroll.disk import FileDisk, write_durably
from routerd.enroll.hardware import Hardware, hardware, is_same_box
from routerd.enroll.identity import Identity, IdentityFiles, Opened, Standing
from routerd.errors import PermanentError
from tests.fakes.disk import FakeDisk, Loss, PowerCut

BOX = Hardware("SN-1", ("02:00:00:00:00:01",), "acme,x1")
OTHER_BOX = Hardware("SN-2", ("02:00:00:00:00:02",), "acme,x1")
ACTIVE = Standing("d_1", 3, "active", 1_790_000_000_000)


def files(disk: FakeDisk | FileDisk) -> IdentityFiles:
    return IdentityFiles(disk, lambda: os.urandom(32))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FileDisk]:
    found = FileDisk(tmp_path / "data")
    yield found
    found.close()


def cuts(act: Callable[[FakeDisk], object], prepare: Callable[[FakeDisk], object]) -> Iterator[FakeDisk]:
    """`act` on what `prepare` left, cut before each of its steps, with every loss; then power is back."""
    for loss in Loss:
        for at in range(1000):
            disk = FakeDisk()
            prepare(disk)
            disk.restart(Loss.NOTHING)
            disk.cut_at = at
            try:
                act(disk)
            except PowerCut:
                disk.restart(loss)
                yield disk
            else:
                assert at > 3, "nothing was cut"
                break


def test_a_first_start_makes_a_key_and_the_next_start_finds_it(disk: FileDisk) -> None:
    first = files(disk).open(BOX)
    assert first.event == "created"
    again = files(disk).open(BOX)
    assert (again.event, again.identity.key.id, again.identity.standing) == ("", first.identity.key.id, Standing())


def test_two_first_starts_make_two_keys() -> None:
    assert files(FakeDisk()).open(BOX).identity.key.id != files(FakeDisk()).open(BOX).identity.key.id


def test_every_file_is_ours_alone_under_any_umask(disk: FileDisk, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        identity = files(disk).open(BOX).identity
        files(disk).keep(files(disk).begin_rotation(identity), ACTIVE)
    finally:
        os.umask(before)
    found = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert len(found) == 4  # key, next key, record, lock
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "data").rglob("*") if path.is_dir()} == {0o700}


def test_what_the_cloud_said_is_there_after_a_restart(disk: FileDisk) -> None:
    identity = files(disk).open(BOX).identity
    files(disk).keep(identity, ACTIVE)
    assert files(disk).open(BOX).identity.standing == ACTIVE


def test_a_second_daemon_is_refused(disk: FileDisk, tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        FileDisk(tmp_path / "data")
    assert caught.value.code == "identity.in_use"


@pytest.mark.parametrize(
    "content", [b"", b"00" * 31 + b"\n", b"zz" * 32 + b"\n", b"00" * 32, b"\xff" * 65, b"AB" * 32 + b"\n"]
)
def test_a_damaged_key_is_kept_aside_and_replaced(disk: FileDisk, tmp_path: Path, content: bytes) -> None:
    first = files(disk).open(BOX).identity
    (tmp_path / "data/identity/device.key").write_bytes(content)
    opened = files(disk).open(BOX)
    assert (opened.event, opened.aside) == ("damaged", "identity.damaged-1")
    assert opened.identity.key.id != first.key.id
    assert (tmp_path / "data/identity.damaged-1/device.key").read_bytes() == content


def test_a_missing_key_is_replaced_and_the_record_kept_aside(disk: FileDisk, tmp_path: Path) -> None:
    files(disk).open(BOX)
    (tmp_path / "data/identity/device.key").unlink()
    assert files(disk).open(BOX).event == "damaged"
    assert (tmp_path / "data/identity.damaged-1/identity.json").exists()


def test_a_key_that_others_could_read_is_never_used_again(disk: FileDisk, tmp_path: Path) -> None:
    first = files(disk).open(BOX).identity
    (tmp_path / "data/identity/device.key").chmod(0o644)
    opened = files(disk).open(BOX)
    assert (opened.event, opened.aside) == ("exposed", "identity.exposed-1")
    assert opened.identity.key.id != first.key.id


def test_a_lost_record_costs_no_key(disk: FileDisk, tmp_path: Path) -> None:
    first = files(disk).open(BOX).identity
    files(disk).keep(first, ACTIVE)
    (tmp_path / "data/identity/identity.json").write_bytes(b"{")
    opened = files(disk).open(BOX)
    assert (opened.event, opened.identity.key.id, opened.identity.standing) == ("", first.key.id, Standing())


def test_a_record_of_another_key_is_no_identity(disk: FileDisk, tmp_path: Path) -> None:
    files(disk).open(BOX)
    other = FakeDisk()
    files(other).open(BOX)
    (tmp_path / "data/identity/identity.json").write_bytes(other.read("identity/identity.json"))
    assert files(disk).open(BOX).event == "damaged"


def test_an_identity_from_another_box_is_set_aside_whole(disk: FileDisk, tmp_path: Path) -> None:
    first = files(disk).open(BOX).identity
    files(disk).keep(first, ACTIVE)
    opened = files(disk).open(OTHER_BOX)
    assert (opened.event, opened.aside) == ("foreign", f"identity.foreign-{first.key.id[:8]}-1")
    assert opened.identity.key.id != first.key.id
    assert opened.identity.previous is None
    assert opened.identity.standing == Standing()
    kept = (tmp_path / "data" / opened.aside / "device.key").read_text()
    assert bytes.fromhex(kept) == first.key.seed


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (hardware(["sn-1"], [], ""), True),
        (hardware(["SN-1"], ["02:00:00:00:00:09"], "other"), True),
        (hardware(["SN-2"], ["02:00:00:00:00:01"], "acme,x1"), False),
        (hardware(["0"], ["02:00:00:00:00:01"], "acme,x1"), True),
        (hardware(["0"], ["02:00:00:00:00:02"], "acme,x1"), False),
        (hardware([], [], ""), True),
    ],
)
def test_serials_decide_then_addresses(found: Hardware, same: bool) -> None:
    assert is_same_box(BOX, found) is same


def test_a_kernel_without_randomness_makes_no_key() -> None:
    disk = FakeDisk()
    with pytest.raises(OSError, match="random"):
        IdentityFiles(disk, lambda: bytes(32)).open(BOX)
    assert disk.names(".") == []


def test_a_cut_anywhere_while_a_key_is_made_leaves_one_whole_identity() -> None:
    seen = 0
    for disk in cuts(lambda disk: files(disk).open(BOX), lambda disk: None):
        opened = files(disk).open(BOX)
        assert opened.event in ("", "created")
        assert [name for name in disk.names(".") if name.startswith("identity")] == ["identity"]
        disk.restart(Loss.EVERYTHING)
        assert files(disk).open(BOX).identity.key.id == opened.identity.key.id
        seen += 1
    assert seen > 40


def test_a_key_that_was_returned_survives_every_loss() -> None:
    for loss in Loss:
        disk = FakeDisk()
        key = files(disk).open(BOX).identity.key
        disk.restart(loss)
        assert files(disk).open(BOX).identity.key.id == key.id


def test_a_cut_anywhere_while_a_foreign_identity_is_set_aside_loses_nothing() -> None:
    keys: list[str] = []

    def prepare(disk: FakeDisk) -> None:
        keys.append(files(disk).open(BOX).identity.key.id)

    for disk in cuts(lambda disk: files(disk).open(OTHER_BOX), prepare):
        opened = files(disk).open(OTHER_BOX)
        assert opened.identity.key.id != keys[-1]
        aside = [name for name in disk.names(".") if name.startswith("identity.foreign")]
        assert len(aside) == 1
        assert disk.names(aside[0]) == ["device.key", "identity.json"]


def test_a_cut_anywhere_while_the_record_is_written_keeps_the_key_and_a_whole_record() -> None:
    found: list[Opened] = []

    def prepare(disk: FakeDisk) -> None:
        found.append(files(disk).open(BOX))

    for disk in cuts(lambda disk: files(disk).keep(found[-1].identity, ACTIVE), prepare):
        opened = files(disk).open(BOX)
        assert opened.identity.key.id == found[-1].identity.key.id
        assert opened.identity.standing in (Standing(), ACTIVE)


def test_a_cut_anywhere_in_a_rotation_leaves_a_key_that_the_cloud_knows() -> None:
    known: list[set[str]] = []

    def prepare(disk: FakeDisk) -> None:
        known.append({files(disk).keep(files(disk).open(BOX).identity, ACTIVE).key.id})

    def rotate(disk: FakeDisk) -> None:
        identity = files(disk).begin_rotation(files(disk).open(BOX).identity)
        assert identity.following is not None
        disk.step()  # the request may never leave
        known[-1].add(identity.following.id)
        disk.step()  # the answer may never come
        files(disk).finish_rotation(identity)

    for disk in cuts(rotate, prepare):
        opened = files(disk).open(BOX)
        assert opened.event == ""
        assert opened.identity.key.id in known[-1]
        assert opened.identity.standing == ACTIVE
        before = opened.identity
        rotate(disk)
        after = files(disk).open(BOX).identity
        assert after.following is None
        assert before.following is None or after.key.id == before.following.id


def test_a_cut_anywhere_in_a_reidentification_leaves_one_identity_and_the_proof() -> None:
    before: list[Identity] = []

    def prepare(disk: FakeDisk) -> None:
        before.append(files(disk).keep(files(disk).open(BOX).identity, ACTIVE))

    for disk in cuts(lambda disk: files(disk).renew(before[-1], BOX), prepare):
        identity = files(disk).open(BOX).identity
        old = before[-1].key.id
        if identity.key.id == old:
            assert identity.standing == ACTIVE
        else:
            assert identity.previous is not None
            assert identity.previous.id == old
            assert identity.standing == Standing()
            assert any(name.startswith("identity.conflict-") for name in disk.names("."))


def test_the_proof_of_who_it_was_is_gone_once_it_has_served() -> None:
    disk = FakeDisk()
    renewed = files(disk).renew(files(disk).open(BOX).identity, BOX)
    assert renewed.previous is not None
    assert files(disk).keep(renewed, Standing("", 0, "")).previous is not None
    assert files(disk).keep(renewed, ACTIVE).previous is None
    assert files(disk).open(BOX).identity.previous is None


def test_a_small_file_is_old_or_new_after_a_cut() -> None:
    for disk in cuts(
        lambda disk: write_durably(disk, "trust.json", b"new"), lambda disk: write_durably(disk, "trust.json", b"old")
    ):
        assert disk.read("trust.json") in (b"old", b"new")
