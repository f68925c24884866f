"""Each link as data gets the class that carries it."""

import subprocess
import sys

import pytest

from routerd.backoff import Backoff
from routerd.capture.links import transport
from routerd.capture.serial import SerialTransport
from routerd.capture.tcp import TcpConnectTransport, TcpListenTransport
from routerd.model import Link, SerialLink, TcpConnectLink, TcpListenLink


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


def test_a_lan_only_store_does_not_load_pyserial() -> None:
    code = """if True:
        import sys
        from routerd.backoff import Backoff
        from routerd.capture.links import transport
        from routerd.model import TcpListenLink
        transport(TcpListenLink("0.0.0.0", 5001, ()), Backoff(), chance=lambda: 0.5)
        sys.exit(" ".join({"serial", "encodings.idna"} & set(sys.modules)) or 0)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
