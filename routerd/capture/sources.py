"""What a source's settings mean: how its bytes are read, what is impossible, its link in words."""

from routerd import framing, tlog
from routerd.capture.baud import impossible_baud
from routerd.capture.session import Reading
from routerd.errors import ConfigError
from routerd.model import CommanderLink, FolderLink, Link, PullLink, SerialLink, Source, TcpConnectLink, TcpListenLink


def dialect_name(source: Source) -> str:
    """The dialect a source is read with; empty when its first frame decides."""
    return source.dialect or tlog.FOR_FRAMER.get(source.framer, "")


def check(source: Source) -> None:
    """ConfigError that names the source, if its link, framer or dialect cannot be."""
    reading(source)
    if isinstance(source.link, SerialLink) and (reason := impossible_baud(source.link.baud)):
        raise ConfigError(f"[[source]] {source.name}: {reason}")


def reading(source: Source) -> Reading:
    """A fresh framer and the dialect of a source. Raises ConfigError that names the source."""
    name = dialect_name(source)
    try:
        dialect = tlog.dialect(name) if name else None
        framer = framing.build(source.framer, source.framer_options, dialect.elements if dialect else ())
    except ConfigError as exc:
        raise ConfigError(f"[[source]] {source.name}: {exc}") from exc
    return Reading(framer, dialect)


def describe(link: Link | PullLink) -> str:
    """A link in a few words, for people."""
    match link:
        case SerialLink():
            return f"serial {link.port} {link.baud} {link.data_bits}{link.parity}{link.stop_bits}"
        case TcpConnectLink():
            return f"tcp to {link.host}:{link.port}"
        case TcpListenLink():
            return f"tcp on {link.bind}:{link.port}"
        case CommanderLink():
            return f"commander {link.host}:{link.port} {'+'.join(link.periods)}"
        case FolderLink():
            return f"folder {link.path}/{link.pattern}"
