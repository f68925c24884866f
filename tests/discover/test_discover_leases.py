"""What DHCP servers write, in each form they write it."""

import asyncio
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from routerd.discover import leases
from routerd.discover.dhcp import LeaseFile, Leases
from routerd.discover.evidence import ASSIGNED, GONE, MAX_VALUE_CHARS, Evidence, Sighting

KEY = "mac:00:0b:4f:01:02:03"
DNSMASQ = """\
1790000000 00:0b:4f:01:02:03 192.168.31.11 till-1 01:00:0b:4f:01:02:03
1790000100 00:26:ab:0a:0b:0c 192.168.31.40 * *
0 bad-mac 192.168.31.41 x *
1790000200 00:26:ab:0a:0b:0d not-an-address x *
short line
duid 00:01:00:01:2c:5b:00:00:00:0b:4f:01:02:03
1790000300 123456 fd00::17 till-1 00:01
"""
ODHCPD = """\
# br-pos 000b4f010203 ipv4 till-1 1790000000 c0a81f0b 32 192.168.31.11/32
192.168.31.11\ttill-1
# br-pos 0:26:ab:a:b:c ipv4 broken\\x20epson 1790000000 c0a81f28 32 192.168.31.40/32
# br-pos 00010001aabbccdd000b4f010203 3 till-1 1790000000 17 128 fd00::17/128
# br-pos 000b4f01 ipv4 - -1 c0a81f0b 32 192.168.31.12/32
"""


def hint(kind: str, value: str) -> frozenset[Evidence]:
    return frozenset({Evidence(kind, value)})


def test_dnsmasq_leases_name_hardware_address_and_host() -> None:
    assert leases.dnsmasq(DNSMASQ) == [
        Sighting(KEY, "192.168.31.11", ASSIGNED, hints=hint("hostname", "till-1")),
        Sighting("mac:00:26:ab:0a:0b:0c", "192.168.31.40", ASSIGNED),
    ]


def test_odhcpd_leases_are_read_in_both_spellings_of_a_mac() -> None:
    assert leases.odhcpd(ODHCPD) == [
        Sighting(KEY, "192.168.31.11", ASSIGNED, "br-pos", hint("hostname", "till-1")),
        Sighting("mac:00:26:ab:0a:0b:0c", "192.168.31.40", ASSIGNED, "br-pos", hint("hostname", "epson")),
    ]


def test_the_answer_of_ubus_brings_the_option_list_too() -> None:
    lease = {"mac": "000b4f010203", "hostname": "till-1", "reqopts": "1,3,6,15", "address": "192.168.31.11", "valid": 9}
    text = json.dumps({"device": {"br-pos": {"leases": [lease, "no lease", {"mac": 5}]}, "br-x": None}})
    [found] = leases.ubus(text)
    assert (found.key, found.place, found.interface) == (KEY, "192.168.31.11", "br-pos")
    assert found.hints == hint("hostname", "till-1") | hint("opt55", "1,3,6,15")


def note(**changes: str) -> str:
    whole = {
        "action": "add",
        "mac": "00:0B:4F:01:02:03",
        "address": "192.168.31.11",
        "name": "till-1",
        "vendor_class": "udhcp 1.36.1",
        "options": "1, 3, 6",
        "interface": "br-pos",
    }
    return json.dumps({**whole, **changes})


def test_a_hotplug_note_carries_options_60_and_55() -> None:
    found = leases.hotplug(note())
    assert found == Sighting(
        KEY,
        "192.168.31.11",
        ASSIGNED,
        "br-pos",
        hint("hostname", "till-1") | hint("opt60", "udhcp 1.36.1") | hint("opt55", "1,3,6"),
    )


def test_a_lease_that_ended_says_that_its_device_is_gone() -> None:
    found = leases.hotplug(note(action="remove"))
    assert found is not None
    assert found.strength == GONE


def test_a_stranger_cannot_make_us_keep_long_or_unprintable_names() -> None:
    found = leases.hotplug(note(name="x" * 5000, vendor_class="a\x1b[2Jb\n"))
    assert found is not None
    assert hint("hostname", "x" * MAX_VALUE_CHARS) | hint("opt60", "a[2Jb") <= found.hints


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    for parse in (leases.dnsmasq, leases.odhcpd, leases.ubus, leases.hotplug):
        parse(text)
        parse(f'{{"device": {text}}}')
    leases.hotplug(json.dumps({"mac": text, "address": text}))


def edge(folder: Path) -> tuple[Leases, Path]:
    (folder / "notes").mkdir()
    file = folder / "dhcp.leases"
    return Leases([LeaseFile(file, "dnsmasq"), LeaseFile(folder / "none", "odhcpd")], folder / "notes"), file


def test_files_are_reported_when_they_change_and_not_again(tmp_path: Path) -> None:
    leases_, file = edge(tmp_path)
    assert leases_.read() == []
    file.write_text(DNSMASQ)
    assert len(leases_.read()) == 2
    assert leases_.read() == []
    (tmp_path / "notes/000b4f010203.json").write_text(note(name="other"))
    [found] = leases_.read()
    assert Evidence("hostname", "other") in found.hints
    file.write_text("1790000300 00:26:ab:0a:0b:0e 192.168.31.42 * *\n" + DNSMASQ)
    assert len(leases_.read()) == 3


def test_a_file_too_large_to_be_leases_is_left_alone(tmp_path: Path) -> None:
    leases_, file = edge(tmp_path)
    file.write_text(DNSMASQ * 2000)
    assert leases_.read() == []


async def test_a_nudge_makes_it_look_again(tmp_path: Path) -> None:
    leases_, file = edge(tmp_path)
    file.write_text(DNSMASQ)
    heard: asyncio.Queue[int] = asyncio.Queue()
    watch = asyncio.create_task(leases_.run(lambda news: heard.put_nowait(len(news))))
    async with asyncio.timeout(20):
        assert await heard.get() == 2
        file.write_text("1790000300 00:26:ab:0a:0b:0e 192.168.31.42 * *\n")
        leases_.nudge()
        assert await heard.get() == 1
    watch.cancel()
    await asyncio.wait([watch])
