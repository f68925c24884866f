"""Each link as data gets the class that carries it."""

import asyncio
import socket
import sys

import pytest

from routerd.backoff import Backoff
from routerd.capture.links import transport
from routerd.capture.serial import SerialTransport
from routerd.capture.tcp import TcpConnectTransport, TcpListenTransport
from routerd.model import Link, SerialLink, TcpConnectLink, TcpListenLink
from tests.capture.wires import free_port


@pytest.mark.parametrize(
    ("link", "carrier"),
    [
        (SerialLink("/dev/ttyUSB0"), SerialTransport),
        (TcpConnectLink("192.168.31.11", 5001), TcpConnectTransport),
        (TcpListenLink("0.0.0.0", 5001, ()), TcpListenTransport),
    ],
)
def test_every_link_has_its_transport(link: Link, carrier: type) -> None:
    assert type(transport(link, Backoff(), chance=lambda: 0.5)) is carrier


async def test_a_lan_only_store_loads_neither_pyserial_nor_the_idna_codec() -> None:
    code = """if True:
        import asyncio, sys
        from routerd.backoff import Backoff
        from routerd.capture.links import transport
        from routerd.model import TcpConnectLink, TcpListenLink

        class Inlet:
            def failed(self, code, message):
                raise SystemExit(" ".join({"serial", "encodings.idna"} & set(sys.modules)) or code)

        link = {"dial": TcpConnectLink("127.0.0.1", PORT), "listen": TcpListenLink("127.0.0.1", PORT, ())}[sys.argv[1]]
        asyncio.run(transport(link, Backoff(), chance=lambda: 0.5).run(Inlet()))
    """
    port = free_port()
    for way, code_expected in (("dial", "tcp.refused"), ("listen", "tcp.port_in_use")):
        with socket.create_server(("127.0.0.1", 0 if way == "dial" else port)):
            argv = [sys.executable, "-c", code.replace("PORT", str(port)), way]
            child = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
            _, said = await asyncio.wait_for(child.communicate(), 30)
        assert said.decode().strip() == code_expected
