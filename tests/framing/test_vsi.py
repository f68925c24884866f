from routerd.framing import Frame, Framer, Noise
from routerd.framing.vsi import VsiAdd
from tests.framing.laws import check_laws, cut, records, restart


def address(register: int) -> bytes:
    return b"\x1b" + bytes([register])


def tickets() -> Framer:
    return VsiAdd(b"\n", b"START", b"END")


def test_each_register_has_its_own_lines() -> None:
    data = address(1) + b"COF" + address(16) + b"TEA\r\n" + address(1) + b"FEE\r\n"
    pieces = check_laws(VsiAdd, data, limit=1 << 20, ordered=False)
    assert pieces == [
        Frame(address(16) + b"TEA\r\n", channel="16"),
        Frame(address(1) + b"COF" + address(1) + b"FEE\r\n", channel="1"),
    ]


def test_text_belongs_to_the_register_addressed_last() -> None:
    pieces = check_laws(VsiAdd, address(3) + b"A\nB\n", limit=1 << 20, ordered=False)
    assert pieces == [Frame(address(3) + b"A\n", channel="3"), Frame(b"B\n", channel="3")]


def test_the_next_address_ends_a_line_that_waits_for_an_lf() -> None:
    pieces = VsiAdd().feed(address(1) + b"A\r" + address(2))
    assert pieces == [Frame(address(1) + b"A\r", channel="1")]


def test_an_escape_before_anything_else_is_text() -> None:
    data = address(1) + b"\x1b@A\x1b\x11\n"
    assert check_laws(VsiAdd, data, limit=1 << 20, ordered=False) == [Frame(data, channel="1")]


def test_what_comes_before_the_first_address_is_noise() -> None:
    assert cut(VsiAdd, b"junk" + address(1) + b"A\n")[0] == Noise(b"junk", "unframed")


def test_tickets_of_two_registers_that_mix_come_out_whole() -> None:
    data = b"".join(address(register) + line for line in (b"START\n", b"TEA 1.00\n", b"END\n") for register in (1, 2))
    pieces = check_laws(tickets, data, limit=1 << 20, ordered=False)
    assert [piece.channel for piece in pieces if isinstance(piece, Frame)] == ["1", "2"]
    a = address(1)
    assert records(pieces)[0] == a + b"START\n" + a + b"TEA 1.00\n" + a + b"END\n"


def test_a_second_start_means_the_end_was_lost() -> None:
    pieces = check_laws(tickets, address(1) + b"START\nA\nSTART\nEND\n", limit=1 << 20, ordered=False)
    assert pieces == [Noise(address(1) + b"START\nA\n", "truncated"), Frame(b"START\nEND\n", channel="1")]


def test_lines_outside_tickets_are_noise() -> None:
    pieces = cut(tickets, address(1) + b"A\nSTART\nEND\n")
    assert pieces == [Noise(address(1) + b"A\n", "unframed"), Frame(b"START\nEND\n", channel="1")]


def test_pending_restores_every_register_that_is_addressed_anew_for_each_line() -> None:
    data = b"".join(address(1 + turn % 3) + b"LINE %d\r\n" % turn for turn in range(9))
    data = address(5) + b"HALF" + data + address(5) + b" LINE\r\n"
    expected = sorted(records(cut(VsiAdd, data)))
    for at in range(len(data)):
        assert sorted(records(restart(VsiAdd, data, at))) == expected


def test_a_register_has_a_sixteenth_of_the_limit() -> None:
    def make() -> Framer:
        return VsiAdd(max_frame_bytes=320)

    fits = address(1) + b"x" * 17 + b"\n"
    assert check_laws(make, fits, limit=320, ordered=False) == [Frame(fits, channel="1")]
    pieces = check_laws(make, fits[:-1] + b"y\n" + fits, limit=320, ordered=False)
    assert pieces == [Noise(fits[:-1] + b"y\n", "oversize"), Frame(fits, channel="1")]
