"""Strange bytes: the corpus as it is, and a little of what `make fuzz` does for longer."""

import random

import pytest

from scripts.faults import fuzz

INPUTS = 120


@pytest.mark.parametrize("name", sorted(fuzz.TARGETS))
def test_every_seed_of_the_corpus_is_taken_as_it_is(name: str) -> None:
    for data in fuzz.corpus().values():
        fuzz.TARGETS[name](data, random.Random(1))


@pytest.mark.parametrize("name", sorted(fuzz.TARGETS))
def test_changed_seeds_break_no_law(name: str) -> None:
    seeds = fuzz.corpus()
    first = random.randrange(1 << 32)
    broken = [why for number in range(first, first + INPUTS) if (why := fuzz.attempt(name, number, seeds))]
    assert not broken


def test_a_broken_law_is_told_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def falls(data: bytes, _chance: random.Random) -> None:
        assert b"\xff" in data, "it has no 255"

    monkeypatch.setitem(fuzz.TARGETS, "wire", falls)
    assert "it has no 255" in fuzz.attempt("wire", 1, {"a": b"seed"})
    told = fuzz.run(0.2, 1)
    assert not told["ok"]
