"""What is plugged in, read from a tree like the kernel's; nothing is opened."""

import asyncio
from pathlib import Path

import pytest

from routerd.discover import kernel
from routerd.discover.evidence import ALIVE, GONE, Evidence, Sighting
from routerd.discover.inventory import MISSING, MOVED, NEW, Inventory, Moment
from routerd.discover.usb import UsbDevice, UsbTree, keyed, sightings

FTDI = UsbDevice("1-1.2", "0403", "6001", "A1B2", "FT232R USB UART")
CLONE = UsbDevice("1-1.3", "1a86", "7523")
PRINTER = UsbDevice("1-1.4", "04b8", "0e03", "X", "TM-T20")


def plug(root: Path, device: UsbDevice, device_class: str = "00") -> None:
    folder = root / "sys/bus/usb/devices" / device.location
    folder.mkdir(parents=True)
    for name, text in (
        ("idVendor", device.vendor_id),
        ("idProduct", device.product_id),
        ("serial", device.serial),
        ("product", device.product),
        ("bDeviceClass", device_class),
    ):
        if text:
            (folder / name).write_text(f"{text}\n")


def test_everything_but_hubs_and_interfaces_is_listed(tmp_path: Path) -> None:
    plug(tmp_path, PRINTER)
    plug(tmp_path, UsbDevice("1-1", "1d6b", "0002"), "09")
    (tmp_path / "sys/bus/usb/devices/1-1.4:1.0").mkdir()
    (tmp_path / "sys/bus/usb/devices/usb1").mkdir()
    assert UsbTree(tmp_path).devices() == [PRINTER]
    assert UsbTree(tmp_path / "nowhere").devices() == []


def test_an_adapter_is_its_ids_and_serial_number_wherever_it_is_plugged() -> None:
    assert list(keyed([FTDI, CLONE])) == ["usb:0403:6001:A1B2", "usb:1a86:7523:@1-1.3"]


def test_adapters_that_share_a_serial_number_are_told_apart_by_their_ports() -> None:
    twin = UsbDevice("1-1.5", "0403", "6001", "A1B2")
    assert list(keyed([FTDI, twin])) == ["usb:0403:6001:A1B2@1-1.2", "usb:0403:6001:A1B2@1-1.5"]


def test_each_port_of_one_adapter_is_a_device_of_its_own() -> None:
    ports = [UsbDevice(f"1-1.2:1.{n}", "0403", "6011", "Q") for n in range(4)]
    assert len(keyed(ports)) == 4
    assert "usb:0403:6011:Q@1.3" in keyed(ports)


def test_what_came_and_went_is_told_and_no_change_is_nothing() -> None:
    assert sightings([FTDI], [FTDI]) == []
    [seen] = sightings([FTDI])
    assert (seen.key, seen.place, seen.strength) == ("usb:0403:6001:A1B2", "usb:1-1.2", ALIVE)
    assert seen.hints == {Evidence("usb", "0403:6001"), Evidence("model", "FT232R USB UART")}
    assert sightings([], [FTDI]) == [Sighting("usb:0403:6001:A1B2", "usb:1-1.2", GONE)]


def test_an_adapter_put_into_another_port_has_moved_and_one_pulled_out_is_missing() -> None:
    inventory = Inventory(missing_after_s=60)

    def kinds(now: list[UsbDevice], before: list[UsbDevice], second: float) -> list[str]:
        return [change.kind for change in inventory.observe(sightings(now, before), Moment(second, 1))]

    elsewhere = UsbDevice("1-2", "0403", "6001", "A1B2", "FT232R USB UART")
    assert kinds([FTDI], [], 0) == [NEW]
    assert MOVED in kinds([], [FTDI], 10) + kinds([elsewhere], [], 11)
    assert inventory.devices["usb:0403:6001:A1B2"].place == "usb:1-2"
    kinds([], [elsewhere], 20)
    assert [change.kind for change in inventory.overdue(Moment(80, 1))] == [MISSING]


async def test_it_is_reported_once_at_the_start_and_again_when_the_kernel_tells_of_a_plug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(tmp_path, PRINTER)
    told: list[list[str]] = []

    async def plugged(changed: object, settle: object) -> None:
        plug(tmp_path, UsbDevice("1-1.5", "04b8", "0202", "Y"))
        await changed()  # type: ignore[operator]
        await changed()  # type: ignore[operator]
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(kernel, "plugged", plugged)
    with pytest.raises(OSError, match="not permitted"):  # a jail: what is there was told all the same
        await UsbTree(tmp_path).run(lambda news: told.append([n.place for n in news if isinstance(n, Sighting)]))
    assert told == [["usb:1-1.4"], ["usb:1-1.4", "usb:1-1.5"]]


async def test_the_kernels_own_socket_can_be_listened_to() -> None:
    watch = asyncio.create_task(kernel.plugged(lambda: asyncio.sleep(0), asyncio.sleep))
    done, _ = await asyncio.wait([watch], timeout=0.05)
    if done:  # a container may be refused it: then it says so
        assert isinstance(watch.exception(), OSError)
    else:
        watch.cancel()
        await asyncio.wait([watch])
