"""Manifest rows against what the registry knows, for every implementation."""

from fleetd.enroll.manifest import CONFLICT, CREATED, UNCHANGED, UPDATED, Line, Row
from fleetd.enroll.registry import Registry
from tests.fleetd.enroll_kit import ANA, NOW, Box, enrolled, expect, mac


def imports(held: Registry) -> int:
    return [entry.kind for entry, _ in held.audit("t1")].count("manifest.import")


def test_rows_are_created_updated_left_or_refused(held: Registry) -> None:
    box = Box(1)
    lines = [box.row("s1", 2), Line(3, Row("", (mac(50),), store="s3")), Line(4, Row("GL-4", (mac(60),)))]
    results = [
        [outcome.result for outcome in held.import_manifest(lines, ANA, dry_run=dry_run)]
        for dry_run in (True, False, False)
    ]
    assert results == [[CREATED] * 3, [CREATED] * 3, [UNCHANGED] * 3]
    changed = [box.row("s2", 2), Line(3, Row("", (mac(50), mac(51)))), Line(4, Row("GL-5", (mac(60),)))]
    assert [one.result for one in held.import_manifest(changed, ANA, dry_run=False)] == [UPDATED, UPDATED, CONFLICT]
    assert imports(held) == 2


def test_an_old_spreadsheet_moves_no_store(held: Registry) -> None:
    box, device = enrolled(held)
    [same] = held.import_manifest([box.row("s1")], ANA, dry_run=False)
    [blank] = held.import_manifest([box.row("")], ANA, dry_run=False)
    [moved] = held.import_manifest([box.row("s2")], ANA, dry_run=False)
    assert (same.result, blank.result, moved.result) == (UNCHANGED, UNCHANGED, CONFLICT)
    assert moved.reason.startswith("use_assign")
    assert held.device("t1", device).store == "s1"


def test_a_rehearsal_writes_nothing(held: Registry) -> None:
    held.import_manifest([Box(1).row("s1")], ANA, dry_run=True)
    assert Box(1).asks(held).decision.code == "not_in_manifest"


def test_rows_find_their_boards(held: Registry) -> None:
    by_mac, elsewhere, lapsed = Box(1), Box(2), Box(3)
    expect(
        held, by_mac.row("s1", serial=""), elsewhere.row("s2", macs=(mac(99),)), lapsed.row("s3", not_after_ms=NOW - 1)
    )
    assert by_mac.asks(held).store == "s1"
    assert elsewhere.asks(held).decision.code == "mac_mismatch"
    assert lapsed.asks(held).decision.code == "manifest_lapsed"
    named = Box(4, model="GL.iNet GL-MT3000")
    expect(held, named.row("s4", model="mt3000"))
    assert named.asks(held).store == "s4"
    twice = Box(5, model="x")
    expect(held, twice.row("s5", 2, model="a", macs=()), twice.row("s6", 3, model="b", macs=()))
    assert twice.asks(held).decision.code == "serial_ambiguous"
    assert Box(5, model="b").asks(held).store == "s6"


def test_ten_thousand_rows_take_one_transaction(held: Registry) -> None:
    lines = [Line(no, Row(f"GL-{no}", (mac(no),), "m", f"s{no}")) for no in range(2, 10_002)]
    assert {one.result for one in held.import_manifest(lines, ANA, dry_run=False)} == {CREATED}
    assert {one.result for one in held.import_manifest(lines, ANA, dry_run=False)} == {UNCHANGED}
