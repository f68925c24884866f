"""The kernel's messages: built here byte by byte, and read from the kernel this test runs on."""

import asyncio
import socket
import struct
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from routerd.discover import kernel, netlink, uevent
from routerd.discover.evidence import ALIVE, GONE, HINTED, Sighting
from routerd.discover.netlink import NetLink

MAC = bytes.fromhex("000b4f010203")
REACHABLE, STALE, INCOMPLETE, FAILED, PERMANENT = 0x02, 0x04, 0x01, 0x20, 0x80


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body + bytes(-len(body) % 4)


def neighbour_body(address: str, mac: bytes, state: int, index: int = 3, family: int = socket.AF_INET) -> bytes:
    attributes = attribute(1, socket.inet_aton(address)) + (attribute(2, mac) if mac else b"")
    return struct.pack("=BxxxiHBB", family, index, state, 0, 1) + attributes


def link_body(name: str, *, flags: int = 0x10001, carrier: int | None = 1, kind: int = 1, index: int = 3) -> bytes:
    attributes = attribute(3, name.encode() + b"\0")
    attributes += b"" if carrier is None else attribute(33, bytes([carrier]))
    return struct.pack("=BxHiII", 0, kind, index, flags, 0) + attributes


def seen(state: int, mac: bytes = MAC, kind: int = netlink.NEW_NEIGH) -> Sighting | None:
    [(found, body)] = netlink.messages(message(kind, neighbour_body("192.168.31.11", mac, state)))
    entry = netlink.neighbour(found, body)
    return netlink.sighting(entry, "br-lan") if entry else None


def test_a_neighbour_is_hardware_at_an_address_with_what_its_state_is_worth() -> None:
    expected = {REACHABLE: ALIVE, PERMANENT: ALIVE, STALE: HINTED}
    for state, strength in expected.items():
        assert seen(state) == Sighting("mac:00:0b:4f:01:02:03", "192.168.31.11", strength, "br-lan")


def test_a_failed_entry_says_that_nobody_answers_there() -> None:
    assert seen(FAILED, b"") == Sighting("", "192.168.31.11", GONE, "br-lan")


def test_an_entry_that_is_being_made_or_forgotten_says_nothing() -> None:
    assert seen(INCOMPLETE, b"") is None
    assert seen(REACHABLE, kind=netlink.DEL_NEIGH) is None


def test_other_families_and_odd_hardware_are_no_neighbours() -> None:
    body = struct.pack("=BxxxiHBB", socket.AF_INET6, 3, REACHABLE, 0, 1) + attribute(1, bytes(16)) + attribute(2, MAC)
    assert netlink.neighbour(netlink.NEW_NEIGH, body) is None
    assert seen(REACHABLE, bytes(6)) is None  # loopback
    assert seen(REACHABLE, bytes.fromhex("01005e000001")) is None  # a group
    assert seen(REACHABLE, bytes(4)) is None  # a tunnel


def test_a_link_has_carrier_only_when_it_is_up_and_somebody_is_at_the_other_end() -> None:
    def carrier(**given: int | None) -> bool:
        link = netlink.link(netlink.NEW_LINK, link_body("lan1", **given))  # type: ignore[arg-type]
        assert link is not None
        return link.has_carrier

    assert carrier(carrier=1)
    assert not carrier(carrier=0)
    assert not carrier(flags=0, carrier=1)
    assert carrier(carrier=None)
    assert not carrier(flags=0x1, carrier=None)


def test_a_link_that_is_removed_is_no_longer_present() -> None:
    assert netlink.link(netlink.DEL_LINK, link_body("lan1")) == NetLink(3, "lan1", True, True, True, is_present=False)


def test_several_messages_in_one_datagram_are_all_read() -> None:
    data = b"".join(message(28, neighbour_body(f"10.0.0.{n}", MAC, STALE)) for n in (1, 2, 3)) + message(3, bytes(4))
    kinds = [kind for kind, _ in netlink.messages(data)]
    assert kinds == [28, 28, 28, netlink.DONE]
    odd = message(28, b"odd") + message(netlink.DONE, b"")  # each begins on a multiple of four
    assert list(netlink.messages(odd)) == [(28, b"odd"), (netlink.DONE, b"")]


@given(st.binary(max_size=200), st.integers(0, 200))
def test_damaged_messages_are_skipped_and_never_raise(junk: bytes, cut: int) -> None:
    whole = message(28, neighbour_body("10.0.0.1", MAC, STALE))
    for data in (junk, whole[:cut], whole + junk, junk + whole):
        for kind, body in netlink.messages(data):
            netlink.neighbour(kind, body)
            netlink.link(kind, body)


def test_the_request_for_a_table_is_what_the_kernel_expects() -> None:
    asked = netlink.request(netlink.GET_NEIGH, 7, socket.AF_INET)
    assert asked == struct.pack("=IHHII", 28, 30, 0x301, 7, 0) + bytes([2]) + bytes(11)
    assert len(netlink.request(netlink.GET_LINK, 1, 0)) == 32


async def test_the_kernel_of_this_machine_tells_its_interfaces() -> None:
    heard: list[Sighting | NetLink] = []
    first = asyncio.Event()

    def report(news: kernel.News) -> None:
        heard.extend(news)
        first.set()

    watch = asyncio.create_task(kernel.Neighbours(["lo"]).run(report))
    async with asyncio.timeout(20):
        await first.wait()
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    [loopback] = [each for each in heard if isinstance(each, NetLink)]
    assert (loopback.name, loopback.index) == ("lo", socket.if_nametoindex("lo"))
    assert not loopback.is_ethernet


def feed(edge: kernel.Neighbours, *data: bytes) -> list[Sighting | NetLink]:
    return edge._news(data)


def test_only_wanted_interfaces_are_heard() -> None:
    data = message(16, link_body("br-lan", index=3)) + message(16, link_body("wan", index=4))
    data += message(28, neighbour_body("192.168.31.11", MAC, STALE, 3))
    data += message(28, neighbour_body("100.64.0.1", MAC, STALE, 4))
    data += message(28, neighbour_body("10.9.9.9", MAC, STALE, 99))

    def places(edge: kernel.Neighbours) -> list[str]:
        return [each.place for each in feed(edge, data) if isinstance(each, Sighting)]

    assert places(kernel.Neighbours(["br-lan"])) == ["192.168.31.11"]
    assert places(kernel.Neighbours(without=["wan"])) == ["192.168.31.11"]
    assert places(kernel.Neighbours()) == ["192.168.31.11", "100.64.0.1"]


def test_a_uevent_is_read_and_udevs_own_is_not() -> None:
    data = b"add@/devices/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0\0ACTION=add\0SUBSYSTEM=tty\0DEVNAME=ttyUSB0\0SEQNUM=9\0"
    event = uevent.parse(data)
    assert event == uevent.Uevent("add", "tty", "/devices/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0", "ttyUSB0")
    assert uevent.concerns_ports(event)
    assert uevent.parse(b"libudev\0" + data) is None
    for noise in (b"", b"\0", b"add", b"no at sign\0A=B\0"):
        assert uevent.parse(noise) is None


def test_only_ports_and_usb_make_anybody_look() -> None:
    for subsystem, action, matters in (
        ("tty", "remove", True),
        ("usb", "add", True),
        ("usb", "change", False),
        ("net", "add", False),
        ("block", "add", False),
    ):
        assert uevent.concerns_ports(uevent.Uevent(action, subsystem, "/x", "")) is matters


@given(st.binary(max_size=120))
def test_no_uevent_raises(junk: bytes) -> None:
    uevent.parse(b"add@/x\0" + junk)
    uevent.parse(junk)
