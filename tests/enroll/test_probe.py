"""Which box this is, read from the places where boards keep it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from routerd.enroll import probe as probing
from routerd.enroll.hardware import Hardware, fingerprint
from routerd.enroll.probe import output_of, permanent_address, probe


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def port(root: Path, name: str, device: str) -> None:
    (root / "devices" / device).mkdir(parents=True, exist_ok=True)
    (root / f"sys/class/net/{name}").mkdir(parents=True)
    if device:
        (root / f"sys/class/net/{name}/device").symlink_to(root / "devices" / device)


def silent(command: Sequence[str]) -> str:
    return ""


def test_an_openwrt_router(tmp_path: Path) -> None:
    board = {
        "model": {"id": "acme,x1"},
        "system": {"label_macaddr": "94:83:C4:00:53:00"},
        "network": {"lan": {"macaddr": "94:83:c4:00:53:01"}, "wan": {"protocol": "dhcp"}},
    }
    write(tmp_path, {"proc/device-tree/serial-number": "sn-77\0", "etc/board.json": json.dumps(board)})
    port(tmp_path, "eth0", "soc/eth")
    port(tmp_path, "usb0", "soc/usb1/1-1")
    port(tmp_path, "br-lan", "")
    burnt = {"eth0": "94:83:c4:00:53:02", "usb0": "02:00:00:00:00:99", "br-lan": "02:00:00:00:00:98"}
    found = probe(tmp_path, (), burnt.__getitem__, silent)
    assert found == Hardware("SN-77", ("94:83:c4:00:53:00", "94:83:c4:00:53:01", "94:83:c4:00:53:02"), "acme,x1")


@pytest.mark.parametrize(
    ("files", "printed", "serial"),
    [
        ({"proc/device-tree/serial-number": "DT1", "sys/class/dmi/id/product_serial": "DMI1"}, {}, "DT1"),
        ({"proc/device-tree/serial-number": "0000000", "sys/class/dmi/id/product_serial": "DMI1\n"}, {}, "DMI1"),
        ({"sys/class/dmi/id/product_serial": "To be filled by O.E.M."}, {"fw_printenv": "UB1\n"}, "UB1"),
        ({"proc/device-tree/serial-number": "DT1"}, {"mine": "CFG1"}, "CFG1"),
        ({}, {}, ""),
    ],
)
def test_the_first_serial_that_is_none_of_the_placeholders(
    tmp_path: Path, files: dict[str, str], printed: dict[str, str], serial: str
) -> None:
    write(tmp_path, files)
    found = probe(tmp_path, ("mine",), lambda _: "", lambda command: printed.get(command[0], ""))
    assert found.serial == serial


def test_a_board_file_of_another_shape_is_no_board_file(tmp_path: Path) -> None:
    for content in ("[", "[1]", '{"model": 1, "system": [], "network": {"lan": 1}}', "[" * 100_000):
        write(tmp_path, {"etc/board.json": content})
        assert probe(tmp_path, (), lambda _: "", silent) == Hardware("", (), "")


def test_a_command_that_fails_says_nothing() -> None:
    assert output_of(["/bin/echo", "SN-1"]) == "SN-1\n"
    assert output_of(["/bin/false"]) == ""
    assert output_of(["/nowhere/at-all"]) == ""


def test_a_port_that_does_not_exist_has_no_address() -> None:
    assert permanent_address("nosuchport0") == ""
    assert permanent_address("é") == ""
    assert permanent_address("lo") in ("", "00:00:00:00:00:00")


def test_the_fingerprint_changes_with_serial_board_and_addresses() -> None:
    box = Hardware("A", ("02:00:00:00:00:01",), "b")
    others = [Hardware("B", box.macs, "b"), Hardware("A", (), "b"), Hardware("A", box.macs, "c")]
    assert len({fingerprint(found) for found in [box, *others]}) == 4
    assert probing.probe(Path("/nowhere"), (), lambda _: "", silent) == Hardware("", (), "")
