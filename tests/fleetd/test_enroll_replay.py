"""The window of a key: replays are refused, clones are found, and no reboot ever looks like one."""

import hashlib
import random

from fleetd.enroll.replay import BURST, MAX_BOOTS, SIZE, TOLERANCE_MS, Seen, Window

NOW = 1_800_000_000_000


def sig(text: object) -> bytes:
    return hashlib.sha512(str(text).encode()).digest()


class Router:
    """One box that holds the key: it signs with the newest nonce it was given."""

    def __init__(self, name: str) -> None:
        self.name, self.boots = name, 0
        self.reboot(NOW)

    def reboot(self, now_ms: int) -> None:
        self.boots += 1
        self.count, self.nonce_ms = 0, now_ms  # it asks for the time first

    def request(self) -> tuple[str, int, bytes, int]:
        self.count += 1
        return f"{self.name}-{self.boots}", self.count, sig((self.name, self.boots, self.count)), self.nonce_ms

    def talk(self, window: Window, now_ms: int) -> Seen:
        seen = window.judge(*self.request(), now_ms)
        self.nonce_ms = now_ms
        return seen


def test_the_same_request_twice_is_a_replay_and_no_clone() -> None:
    window, router = Window(), Router("a")
    request = router.request()
    assert window.judge(*request, NOW) is Seen.NEW_BOOT
    assert {window.judge(*request, NOW + at) for at in range(50)} == {Seen.REPLAYED}


def test_requests_that_overtake_each_other_are_taken_once_each() -> None:
    window, router = Window(), Router("a")
    requests = [router.request() for _ in range(SIZE)]
    random.Random(1).shuffle(requests)
    first, *others = requests
    assert window.judge(*first, NOW) is Seen.NEW_BOOT
    assert {window.judge(*one, NOW) for one in others} == {Seen.FRESH}
    assert {window.judge(*one, NOW) for one in requests} == {Seen.REPLAYED}


def test_what_is_older_than_the_window_is_refused() -> None:
    window, router = Window(), Router("a")
    requests = [router.request() for _ in range(SIZE + 1)]
    window.judge(*requests[-1], NOW)
    assert window.judge(*requests[1], NOW) is Seen.FRESH
    assert window.judge(*requests[0], NOW) is Seen.REPLAYED


def test_a_large_jump_of_the_counter_clears_the_window() -> None:
    window = Window()
    for count in (1, 2, 2 + 3 * SIZE, 1 + 3 * SIZE, (1 << 64) - 1):
        assert window.judge("a", count, sig(count), NOW, NOW) in (Seen.FRESH, Seen.NEW_BOOT)


def test_an_old_run_that_speaks_with_a_new_nonce_is_a_clone() -> None:
    window, original, copy = Window(), Router("a"), Router("b")
    original.talk(window, NOW)
    copy.reboot(NOW + 59_000)
    assert copy.talk(window, NOW + 60_000) is Seen.NEW_BOOT
    assert original.talk(window, NOW + 70_000) is Seen.FRESH  # its nonce is from before the copy spoke
    assert original.talk(window, NOW + 80_000) is Seen.CLONE


def test_the_tolerance_ends_where_it_says() -> None:
    for late_ms, expected in ((TOLERANCE_MS, Seen.FRESH), (TOLERANCE_MS + 1, Seen.CLONE)):
        window = Window([("old", NOW - 10_000), ("new", NOW)])
        assert window.judge("old", 1, sig(1), NOW + late_ms, NOW + 100_000) is expected


def test_a_thousand_reboots_with_late_packets_are_never_a_clone() -> None:
    """First packets of a run may be late too, and arrive before or after the next run has spoken."""
    chance = random.Random(45)
    window, router = Window(), Router("a")
    late: list[tuple[int, tuple[str, int, bytes, int]]] = []
    now, verdicts = NOW, set()
    for _ in range(1000):
        now += chance.randrange(1, 120_000)
        router.reboot(now)
        for _ in range(chance.randrange(0, 5)):
            now += chance.randrange(0, 60_000)
            due = [one for one in late if one[0] <= now]
            late = [one for one in late if one[0] > now]
            verdicts |= {window.judge(*request, now) for _, request in due}
            if chance.random() < 0.3:
                late.append((now + chance.randrange(0, 290_000), router.request()))
            else:
                verdicts.add(router.talk(window, now))
    assert verdicts == {Seen.FRESH, Seen.NEW_BOOT}


def test_copies_of_a_running_machine_contradict_each_other_and_are_found() -> None:
    window = Window()
    verdicts = []
    for count in range(1, BURST + 3):
        window.judge("a", count, sig(("original", count)), NOW, NOW)
        verdicts.append(window.judge("a", count, sig(("copy", count)), NOW, NOW + count))
    assert verdicts == [Seen.REPLAYED] * BURST + [Seen.CLONE] * 2


def test_contradictions_far_apart_are_no_clone() -> None:
    window = Window()
    for count in range(1, 20):
        at = NOW + count * 200_001
        window.judge("a", count, sig(("original", count)), at, at)
        assert window.judge("a", count, sig(("copy", count)), at, at) is Seen.REPLAYED


def test_what_is_kept_of_the_boots_finds_a_clone_after_a_restart_of_the_cloud() -> None:
    window = Window([("a", NOW - 100_000), ("b", NOW)])
    assert window.judge("a", 9, sig(9), NOW + 60_000, NOW + 60_100) is Seen.CLONE
    assert Window([("a", NOW)]).judge("a", 9, sig(9), NOW + 60_000, NOW + 60_100) is Seen.FRESH


def test_a_bounded_number_of_boots_is_remembered_and_the_current_one_always() -> None:
    window = Window()
    for boot in range(10 * MAX_BOOTS):
        assert window.judge(f"b{boot}", 1, sig(boot), NOW + boot, NOW + boot) is Seen.NEW_BOOT
        assert len(window._boots) <= MAX_BOOTS
        assert window.judge(f"b{boot}", 1, sig(boot), NOW + boot, NOW + boot) is Seen.REPLAYED
