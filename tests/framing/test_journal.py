from routerd.framing import Frame, Noise
from routerd.framing.journal import EscJournal
from tests.framing.laws import check_laws, cut, envelopes, noises, records

P = b"\x1bc0\x01\x1b!\x0007/11/25 03:33:09 102 "
ITEM = P + b"L  Monster Blue Hawaiia   1        3.49 \n"
NUMBER = P + b"ST#1                   DR#1 TRAN#1028363"
CASHIER = P + b"CSH: CORPORATE         07/11/25 03:33:29\n"
TICKET = ITEM + NUMBER + CASHIER


def laws(data: bytes, limit: int = 1 << 20) -> list[Frame | Noise]:
    return check_laws(lambda: EscJournal(max_frame_bytes=limit), data, limit=limit)


def test_a_ticket_is_out_with_the_line_feed_of_its_cashier_line() -> None:
    framer = EscJournal()
    assert framer.feed(TICKET[:-1]) == []
    assert framer.feed(b"\n") == [Frame(TICKET)]


def test_mashed_line_ends_where_the_next_prefix_starts() -> None:
    mashed = ITEM + NUMBER + CASHIER[:-1]
    framer = EscJournal()
    assert framer.feed(mashed + P[:3]) == []
    assert framer.feed(P[3:4]) == [Frame(mashed)]
    assert records(laws(mashed + TICKET)) == [mashed, TICKET]


def test_a_suspended_ticket_ends_without_footer_and_is_no_sale() -> None:
    suspended = ITEM + P + b"TRANSACTION SUSPENDED # 1028376\n"
    recalled = ITEM + P + b"TRANSACTION RECALLED #1028376\n" + NUMBER + CASHIER
    pieces = laws(suspended + recalled)
    assert pieces == [Frame(suspended, envelope=True), Frame(recalled)]


def test_lines_of_other_kinds_belong_to_the_ticket_they_stand_in() -> None:
    ticket = P + b"VOID TICKET 1028388\n" + NUMBER + b"\n" + P + b"ALARM CSH open\n" + b"DOOR\r\n" + CASHIER
    assert laws(ticket + TICKET) == [Frame(ticket), Frame(TICKET)]


def test_the_variant_with_am_pm_and_a_bare_cashier_line_is_cut_alike() -> None:
    ticket = (
        b"02/22/25 03:08:05 PM T  Coffee Hot 12oz         1        1.59\n"
        b"02/22/25 03:08:05 PM ST#AB123               DR#1 TRAN#1010141\n"
        b"CSH: 1                2/22/25 3:08:05 PM\n"
    )
    assert laws(ticket * 2) == [Frame(ticket), Frame(ticket)]


def test_silence_and_repeated_totals_end_nothing() -> None:
    framer = EscJournal()
    assert framer.feed(ITEM + P + b"                       TOTAL       20.90 \n") == []
    assert framer.feed(b"") == []
    assert framer.pending.startswith(ITEM)


def test_a_damaged_number_does_not_merge_two_tickets() -> None:
    damaged = ITEM + NUMBER.replace(b"TRAN#", b"TR\xff\xff#") + CASHIER
    assert laws(damaged + TICKET) == [Frame(damaged), Frame(TICKET)]


def test_a_damaged_cashier_line_does_not_merge_two_tickets() -> None:
    number = ITEM + NUMBER + b"\n"
    broken = CASHIER.replace(b"CSH:", b"C\xff\xff:")
    assert laws(number + broken + TICKET) == [Frame(number), Frame(broken + TICKET)]


def test_what_comes_before_the_first_line_is_noise_and_white_space_leads() -> None:
    pieces = laws(b"BAHAMA   1  2.49 \n" + TICKET + b"\r\n" + TICKET + b"\n")
    assert noises(pieces) == [("unframed", b"BAHAMA   1  2.49")]
    assert records(pieces) == [b" \n" + TICKET, b"\r\n" + TICKET]
    assert envelopes(pieces) == [b"\n"]


def test_at_close_a_whole_cashier_line_needs_no_line_feed_and_less_is_truncated() -> None:
    assert cut(EscJournal, TICKET[:-1]) == [Frame(TICKET[:-1])]
    assert cut(EscJournal, TICKET[:-3]) == [Noise(TICKET[:-3], "truncated")]
    assert cut(EscJournal, ITEM) == [Noise(ITEM, "truncated")]


def test_a_ticket_of_the_limit_is_a_frame_and_a_byte_more_is_noise() -> None:
    limit = len(TICKET)
    assert laws(TICKET * 2, limit) == [Frame(TICKET), Frame(TICKET)]
    longer = ITEM.replace(b" \n", b"  \n") + NUMBER + CASHIER
    pieces = laws(longer + NUMBER + CASHIER, limit)
    assert records(pieces) == [b"\n" + NUMBER + CASHIER]
    assert noises(pieces)[0][0] == "oversize"
