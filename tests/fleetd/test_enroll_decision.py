"""The decision table: every combination of its inputs is looked at, none is left undecided."""

import itertools
from collections.abc import Iterator

import pytest

from fleetd.enroll import decision
from fleetd.enroll.decision import INCUMBENTS, Claim, Decision, Effect, Facts, Key, Macs, Place, Prev, Queue, decide

BOTH = (False, True)
SHAPE = (BOTH, Key, Prev, Place, Claim, Macs, BOTH, BOTH, BOTH, BOTH, Queue)
QUEUED_REASONS = {
    "not_in_manifest",
    "mac_mismatch",
    "serial_in_use",
    "serial_retired",
    "serial_revoked",
    "serial_ambiguous",
    "manifest_lapsed",
    "claim_disabled",
    "conflict_review",
    "key_superseded",
}


def everything() -> Iterator[tuple[Facts, Decision]]:
    for values in itertools.product(*SHAPE):
        facts = Facts(*values)
        yield facts, decide(facts)


def some(**changed: object) -> Facts:
    """A stranger with a good claim whom a row expects."""
    expected = {
        "proof": True,
        "key": Key.UNKNOWN,
        "prev": Prev.ABSENT,
        "place": Place.EXPECTED,
        "claim": Claim.USABLE,
        "macs": Macs.EQUAL,
        "has_ticket": False,
        "allows_rekey": False,
        "is_silent": False,
        "same_ip": False,
        "queue": Queue.OPEN,
    }
    return Facts(**(expected | changed))  # type: ignore[arg-type]


def vouched(facts: Facts) -> bool:
    """Something other than a claim speaks for a new key in an incumbent's place."""
    board = facts.macs is Macs.EQUAL and facts.same_ip
    by_old_key = facts.prev is Prev.VALID and (facts.place is not Place.CONFLICT or board)
    by_ticket = facts.has_ticket and facts.place is not Place.CONFLICT and facts.claim in (Claim.USABLE, Claim.DISABLED)
    by_policy = facts.allows_rekey and facts.is_silent and board and facts.claim is Claim.USABLE
    return by_old_key or by_ticket or (by_policy and facts.place is Place.ACTIVE)


def check(facts: Facts, made: Decision) -> None:
    """The promises that hold for each combination by itself."""
    if not facts.proof:
        assert (made.status, made.effect) == (401, Effect.NONE)
    if facts.key is Key.REVOKED:
        assert made.effect is Effect.NONE
    if facts.place is Place.REVOKED and facts.key is Key.UNKNOWN:
        assert made.effect in (Effect.NONE, Effect.QUEUE)
    if made.effect is Effect.REKEY:
        assert facts.place in INCUMBENTS - {Place.REVOKED}
        assert facts.key is Key.UNKNOWN
        assert vouched(facts)
    if made.effect is Effect.BIND:
        assert (facts.key, facts.place, facts.claim) == (Key.UNKNOWN, Place.EXPECTED, Claim.USABLE)
        assert facts.macs is not Macs.DISJOINT
    if made.effect is Effect.SAME:
        assert facts.key is Key.CURRENT
    if facts.claim is Claim.INVALID and facts.key is Key.UNKNOWN and facts.prev is not Prev.VALID:
        assert made.effect is Effect.NONE
    if facts.key is Key.UNKNOWN and facts.queue is Queue.FULL:
        assert made.effect is not Effect.QUEUE
    if made.spends_ticket:
        assert facts.has_ticket
        assert made.effect is Effect.REKEY


def test_every_combination_is_decided_and_keeps_every_promise() -> None:
    seen = 0
    statuses = {
        Effect.SAME: {200},
        Effect.BIND: {201},
        Effect.REKEY: {200},
        Effect.QUEUE: {202},
        Effect.CONFLICT: {409},
    }
    reasons = set()
    for facts, made in everything():
        seen += 1
        check(facts, made)
        assert made.status in statuses.get(made.effect, {401, 403, 429})
        assert bool(made.code) == (made.status not in (200, 201))
        if made.effect is Effect.QUEUE:
            reasons.add(made.code)
    assert seen == 2 * 7 * 3 * 10 * 4 * 3 * 2**4 * 3
    assert reasons == QUEUED_REASONS


def test_a_claim_that_is_switched_off_never_shuts_out_a_known_serial() -> None:
    for place in set(Place) - {Place.UNKNOWN}:
        made = decide(some(place=place, claim=Claim.DISABLED))
        assert made.effect is Effect.QUEUE, place
    assert decide(some(place=Place.UNKNOWN, claim=Claim.DISABLED)).code == "serial_unknown"


@pytest.mark.parametrize("place", sorted(INCUMBENTS))
def test_a_stranger_at_a_taken_serial_waits_and_is_reported(place: Place) -> None:
    made = decide(some(place=place))
    assert made.effect is Effect.QUEUE
    assert made.alarm


def test_each_way_in_needs_every_one_of_its_conditions() -> None:
    rekey = some(place=Place.ACTIVE, allows_rekey=True, is_silent=True, same_ip=True)
    assert decide(rekey) == Decision(200, "", Effect.REKEY, "auto_rekey")
    for missing in (
        {"allows_rekey": False},
        {"is_silent": False},
        {"same_ip": False},
        {"macs": Macs.COMMON},
        {"claim": Claim.DISABLED},
        {"place": Place.RETIRING},
    ):
        changed = {"place": Place.ACTIVE, "allows_rekey": True, "is_silent": True, "same_ip": True} | missing
        assert decide(some(**changed)).effect is Effect.QUEUE, missing


def test_in_conflict_the_old_key_alone_decides_nothing() -> None:
    conflict = {"place": Place.CONFLICT, "prev": Prev.VALID, "same_ip": True}
    assert decide(some(**conflict)).effect is Effect.REKEY
    assert decide(some(**conflict | {"same_ip": False})).code == "conflict_review"
    assert decide(some(**conflict | {"macs": Macs.COMMON})).code == "conflict_review"
    assert decide(some(place=Place.CONFLICT, has_ticket=True)).code == "conflict_review"


def test_the_old_key_of_a_revoked_device_vouches_for_nobody() -> None:
    for claim in Claim:
        assert decide(some(place=Place.REVOKED, prev=Prev.VALID, claim=claim)).code == "device_revoked"


def test_the_old_key_needs_no_claim() -> None:
    assert decide(some(place=Place.ACTIVE, prev=Prev.VALID, claim=Claim.INVALID)).effect is Effect.REKEY


def test_a_ticket_works_with_the_claim_that_is_burnt_into_the_image() -> None:
    made = decide(some(place=Place.ACTIVE, has_ticket=True, claim=Claim.DISABLED))
    assert (made.effect, made.spends_ticket) == (Effect.REKEY, True)


def test_a_person_may_approve_anything_but_a_revoked_device() -> None:
    assert decision.approval(Place.REVOKED) is Effect.NONE
    assert {place for place in Place if decision.approval(place) is Effect.REKEY} == INCUMBENTS - {Place.REVOKED}
    assert all(decision.approval(place) is Effect.BIND for place in set(Place) - INCUMBENTS)
