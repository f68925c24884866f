"""The small rules: stores by epoch, claims, nonces, the audit chain, presence, tokens, and what a herd is told."""

import random
from dataclasses import replace

import pytest

from fleetd.enroll import assignment, chain, claims, decision, herd, nonce, tokens
from fleetd.enroll.assignment import Assignment, store_of
from fleetd.enroll.chain import Entry
from fleetd.enroll.presence import Roster, State
from fleetd.refusal import Refusal

NOW = 1_800_000_000_000


def moved(*stores: str) -> list[Assignment]:
    return [Assignment(at, store, NOW + at) for at, store in enumerate(stores, 1)]


def test_late_rows_land_in_the_store_where_they_were_captured() -> None:
    history = moved("a", "b")
    assert [store_of(history, epoch) for epoch in (0, 1, 2, 3)] == ["a", "a", "b", "b"]


def test_rows_from_before_the_first_store_wait_for_it() -> None:
    assert store_of(moved(""), 0) == ""
    assert [store_of(moved("", "a"), epoch) for epoch in (0, 1, 2)] == ["a", "a", "a"]


def test_rows_of_a_bench_go_to_no_later_store() -> None:
    assert [store_of(moved("a", "", "b"), epoch) for epoch in (0, 1, 2, 3)] == ["a", "a", "", "b"]


def test_assigning_twice_moves_once() -> None:
    history = [assignment.first("a", NOW)]
    made = assignment.assign(history, "b", NOW + 5)
    assert made == Assignment(2, "b", NOW + 5)
    assert assignment.assign([*history, made], "b", NOW + 9) is None


CLAIM = claims.Claim("c1", "t1", bytes(32), NOW, NOW + 1000, quota_total=10, quota_per_hour=3)
FEW = claims.Use(total=1, last_hour=1, is_counted=False)


@pytest.mark.parametrize(
    ("claim", "use", "is_signed", "expected"),
    [
        (CLAIM, FEW, True, decision.Claim.USABLE),
        (None, FEW, True, decision.Claim.INVALID),
        (CLAIM, FEW, False, decision.Claim.INVALID),
        (replace(CLAIM, is_enabled=False), FEW, True, decision.Claim.DISABLED),
        (replace(CLAIM, is_enabled=False), FEW, False, decision.Claim.INVALID),
        (replace(CLAIM, not_after_ms=NOW - 1), FEW, True, decision.Claim.DISABLED),
        (replace(CLAIM, not_after_ms=None), FEW, True, decision.Claim.USABLE),
        (CLAIM, claims.Use(10, 0, False), True, decision.Claim.DISABLED),
        (CLAIM, claims.Use(9, 3, False), True, decision.Claim.BUSY),
        (CLAIM, claims.Use(10, 3, True), True, decision.Claim.USABLE),  # asking again spends nothing
        (replace(CLAIM, quota_total=0, quota_per_hour=0), claims.Use(10**6, 10**6, False), True, decision.Claim.USABLE),
    ],
)
def test_a_claim_is_worth_what_its_owner_says(
    claim: claims.Claim | None, use: claims.Use, is_signed: bool, expected: decision.Claim
) -> None:
    assert claims.judge(claim, use, is_signed=is_signed, now_ms=NOW) is expected


def test_a_nonce_tells_when_it_was_made_and_dies_of_age() -> None:
    made = nonce.mint(NOW, b"8 chance", b"key")
    assert nonce.minted_ms(made, [b"new", b"key"], NOW + nonce.LIFE_MS) == NOW
    for at in (NOW + nonce.LIFE_MS + 1, NOW - 5_001):
        with pytest.raises(Refusal) as stale:
            nonce.minted_ms(made, [b"key"], at)
        assert (stale.value.status, stale.value.code) == (401, "nonce_stale")


def test_a_nonce_that_is_not_ours_is_told_from_an_old_one() -> None:
    made = nonce.mint(NOW, b"8 chance", b"key")
    strange = [made[:at] + ("A" if made[at] != "A" else "B") + made[at + 1 :] for at in range(len(made))]
    for text in [*strange, "", "x" * 43, made + "A"]:
        with pytest.raises(Refusal) as refused:
            nonce.minted_ms(text, [b"key"], NOW)
        assert refused.value.code == "nonce_invalid"
    with pytest.raises(Refusal):
        nonce.minted_ms(made, [b"another"], NOW)


def test_the_chain_notices_what_is_altered_removed_or_moved() -> None:
    head, written = chain.START, []
    for no in range(1, 6):
        entry = Entry(no, NOW + no, "ana", "assign", f"d{no}", "{}")
        head = chain.link(head, entry)
        written.append((entry, head))
    assert chain.broken_at(written) is None
    for at, (entry, claimed) in enumerate(written):
        changes = [{"at_ms": 1}, {"actor": "anaa"}, {"kind": "x"}, {"subject": "x"}, {"document": "{ }"}]
        for changed in [replace(entry, **change) for change in changes]:  # type: ignore[arg-type]
            assert chain.broken_at([*written[:at], (changed, claimed), *written[at + 1 :]]) == entry.no
    assert chain.broken_at([written[0], *written[2:]]) == 3
    assert chain.broken_at([written[0], written[2], written[1], *written[3:]]) == 3
    assert chain.broken_at(written[1:]) == 2


def test_entries_that_read_alike_have_other_hashes() -> None:
    one, other = Entry(1, 1, "ab", "c", "d", "{}"), Entry(1, 1, "a", "bc", "d", "{}")
    assert chain.link(chain.START, one) != chain.link(chain.START, other)


def test_presence_follows_the_polls() -> None:
    roster = Roster()
    assert roster.state("d1", NOW) is State.OFFLINE
    roster.begin("d1", 55, "203.0.113.9", NOW)
    assert roster.state("d1", NOW + 3_600_000) is State.ONLINE  # held, however long
    roster.begin("d1", 55, "203.0.113.9", NOW + 10)
    roster.end("d1", NOW + 20)
    assert (roster.state("d1", NOW + 10**7), roster.polling()) == (State.ONLINE, 1)
    roster.end("d1", NOW)
    seen = [roster.state("d1", NOW + silent_s * 1000) for silent_s in (29, 30, 140, 141, 899, 900)]
    assert seen == [State.ONLINE, State.LATE, State.LATE, State.STALE, State.STALE, State.OFFLINE]
    assert roster.last("d1") == (NOW, "203.0.113.9")


def test_a_token_is_good_for_its_scopes_and_its_time() -> None:
    token = tokens.Token("ana", "t1", frozenset({"devices:read"}), NOW)
    assert tokens.allow(token, "devices:read", NOW) is token
    for held, scope, at, status in ((None, "devices:read", NOW, 401), (token, "devices:read", NOW + 1, 401)):
        with pytest.raises(Refusal) as refused:
            tokens.allow(held, scope, at)
        assert refused.value.status == status
    with pytest.raises(Refusal) as refused:
        tokens.allow(token, "devices:write", NOW)
    assert refused.value.status == 403


def test_a_token_is_found_by_its_hash_only() -> None:
    text = tokens.mint(bytes(32))
    assert tokens.carried({"Authorization": f"Bearer {text}"}) == tokens.hashed(text)
    for header in ("", f"Basic {text}", "Bearer other_secret", text):
        with pytest.raises(Refusal):
            tokens.carried({"Authorization": header})


def test_load_is_refused_when_the_wait_would_be_too_long() -> None:
    load = herd.Load(turn_s=0.1)
    taken = [load.enter() for _ in range(30)]
    assert taken == [True] * 21 + [False] * 9  # the one who would wait 2.1 s is the first to go
    for _ in range(21):
        load.leave(0.1)
    assert load.enter()


def test_load_learns_what_a_turn_takes() -> None:
    load = herd.Load(turn_s=0.001)
    for _ in range(200):
        load.enter()
        load.leave(0.05)
    assert 19 < load.per_s < 21


def test_those_sent_away_come_back_spread_over_twice_what_all_take() -> None:
    chance = random.Random(1)
    waits = [herd.pause_s(100_000, 1000.0, chance.random()) for _ in range(5000)]
    assert 0 < min(waits) <= 5
    assert 190 <= max(waits) <= 200
    assert 95 < sum(waits) / len(waits) < 105


def test_a_pause_is_never_nothing_and_never_silence() -> None:
    assert {herd.pause_s(0, 1000.0, at / 10) for at in range(10)} <= set(range(1, 6))
    assert herd.pause_s(10**9, 1.0, 0.99) == herd.MAX_PAUSE_S
