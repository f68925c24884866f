"""From a link as data to what carries it."""

from collections.abc import Callable

from routerd.backoff import Backoff
from routerd.capture.link import PullTransport, Transport
from routerd.capture.tcp import TcpConnectTransport, TcpListenTransport
from routerd.model import CommanderLink, FolderLink, Link, PullLink, SerialLink, TcpConnectLink, TcpListenLink


def transport(link: Link, backoff: Backoff, *, chance: Callable[[], float]) -> Transport:
    """The transport for `link`, not yet running. Impossible settings show when it runs, as a condition.

    `chance` is uniform in [0, 1) and spreads the retries of a chain's stores after a power cut.
    """
    match link:
        case SerialLink():
            from routerd.capture.serial import SerialTransport  # pyserial is 1 MB that a LAN-only store keeps

            return SerialTransport(link, backoff=backoff, chance=chance)
        case TcpConnectLink():
            return TcpConnectTransport(link, backoff=backoff, chance=chance)
        case TcpListenLink():
            return TcpListenTransport(link, backoff=backoff, chance=chance)


def pull_transport(link: PullLink, backoff: Backoff, *, chance: Callable[[], float]) -> PullTransport:
    """The same for a link that reads documents which the POS keeps."""
    match link:
        case CommanderLink():
            from routerd.capture.commander.transport import CommanderTransport  # only it needs an HTTP client here

            return CommanderTransport(link, backoff=backoff, chance=chance)
        case FolderLink():
            from routerd.capture.folder.transport import FolderTransport

            return FolderTransport(link, backoff=backoff, chance=chance)
