"""Builds the rooms, plugs them together, runs them until told to stop. The only file that names two rooms."""

import asyncio
import logging
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from routerd import __version__
from routerd.capture.capture import Capture
from routerd.capture.link import Backfill
from routerd.capture.sources import dialect_name
from routerd.clock import SystemClock
from routerd.conditions import CRITICAL, Conditions
from routerd.config import Config, load
from routerd.control import status
from routerd.control.server import Control
from routerd.errors import ConfigError, PermanentError, TransientError
from routerd.model import SerialLink
from routerd.spool.spool import Spool
from routerd.spool.tally import Counts
from routerd.wire import codec, dictionaries
from routerd.wire.batch import Order

if TYPE_CHECKING:
    from routerd.cloud import KeyFile  # the network half is imported when capture runs

T = TypeVar("T")
log = logging.getLogger("routerd")

_SETUP_RETRY_S = 10.0  # how often a missing key or CA file is looked for again
_ORDERS_KNOWN = 64  # the cloud repeats the few that are open
EXIT_CONFIG = 78  # sysexits.h EX_CONFIG: a person must mend a file
_USAGE = """\
usage: routerd [run|check|version] [--config FILE]

Carries the store's transaction log from the POS to the cloud.

  run       run until SIGTERM (the default)
  check     read the configuration, say what it means or what is wrong, and stop
  version   print the version

  --config FILE   the configuration (default /etc/routerd/routerd.toml)

Exit status: 0 stopped in order, 78 the configuration is wrong, 1 anything else.
See routerctl --help for looking at a running routerd.
"""


class Orders:
    """What the cloud asks for, done once however often it is said."""

    def __init__(self, backfill: Callable[[str, Backfill], Awaitable[object]]) -> None:
        self._backfill = backfill
        self._begun: dict[int, asyncio.Task[None]] = {}

    def obey(self, order: Order) -> None:
        if order.id not in self._begun:
            self._begun[order.id] = asyncio.create_task(self._do(order), name=f"order.{order.id}")
        while len(self._begun) > _ORDERS_KNOWN:
            del self._begun[next(iter(self._begun))]

    async def _do(self, order: Order) -> None:
        days = f"{order.source} from {order.first_day} to {order.last_day}"
        try:
            await self._backfill(order.source, Backfill(order.first_day, order.last_day, order.anew))
            log.info("the cloud asks for %s: queued", days)
        except TransientError as exc:
            log.info("the cloud asks for %s: not now (%s)", days, exc)
            self._begun.pop(order.id, None)  # it will be said again
        except PermanentError as exc:
            log.warning("the cloud asks for %s: %s", days, exc)


class Daemon:
    def __init__(self, config: Config) -> None:
        """Raises ConfigError for sources that cannot be read as configured."""
        self._config = config
        self._clock = SystemClock()
        self._conditions = Conditions(self._clock)
        self._started_ns = self._clock.mono_ns()
        self._dictionaries, contents = _dictionaries(config)
        self._codebook = codec.Codebook(contents)
        cannot_wait = frozenset(source.name for source in config.sources if isinstance(source.link, SerialLink))
        self._spool = Spool(config.spool, self._clock, self._conditions, self._codebook, cannot_wait)
        chance = random.SystemRandom().random
        self._chance = chance
        self._capture = Capture(config.sources, self._spool, self._clock, self._conditions, chance)
        self._control = Control(
            config.control.socket,
            {"status": lambda: status.status(self._parts()), "sources": lambda: status.sources(self._parts())},
            {"backfill": self._backfill, "trust": self._trust},
        )
        self._orders = Orders(self._capture.backfill)
        self._forwarder: Any = None
        self._key: KeyFile | None = None

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. A room that crashes ends the daemon: what it held is in RAM files or on flash."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await self._spool.open(self._dictionaries)
        try:
            async with asyncio.TaskGroup() as group:
                spool = group.create_task(self._spool.run(), name="spool")
                capture = group.create_task(self._capture.run(), name="capture")
                control = group.create_task(self._serve(), name="control")
                forward = group.create_task(self._forward(), name="forward")
                log.info("routerd %s runs with %d sources", __version__, len(self._config.sources))
                await stop.wait()
                capture.cancel()
                await asyncio.wait([capture])
                for task in (forward, control, spool):
                    task.cancel()
        finally:
            await self._spool.close()
            self._control.remove()
        log.info("stopped")

    async def _forward(self) -> None:
        """Forwarding needs a key and anchors; until they are there, everything else goes on without."""
        await asyncio.sleep(0)  # capture reads before the network half is imported
        from routerd.cloud import Cloud, KeyFile
        from routerd.forward.forwarder import Forwarder

        config = self._config.forward

        async def connect() -> Cloud:
            key = KeyFile(config.key_file)
            self._key = key
            return Cloud(config.url, config.ca_file, key, config.timeout_s, self._clock)

        self._spool.cloud_is(reachable=False)
        cloud = await self._retried("forward", connect)
        self._spool.cloud_is(reachable=True)
        self._forwarder = Forwarder(
            config,
            self._spool,
            cloud,
            self._codebook,
            self._clock,
            self._conditions,
            self._chance,
            self._orders.obey if self._capture.reads_again else None,
        )
        try:
            await self._forwarder.run()
        finally:
            await cloud.close()

    async def _serve(self) -> None:
        """Without its socket the daemon still does its work: that is a condition, not an end."""
        server = await self._retried("control", self._control.listen)
        async with server:
            await server.serve_forever()

    async def _retried(self, subject: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` makes, tried again until the person who must act has acted."""
        raised = ""
        while True:
            try:
                result = await attempt()
                self._conditions.clear(raised, subject)
                return result
            except PermanentError as exc:
                if raised != exc.code:
                    self._conditions.clear(raised, subject)
                raised = exc.code
                self._conditions.raise_(raised, subject, str(exc), CRITICAL)
            await asyncio.sleep(_SETUP_RETRY_S)

    async def _backfill(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`routerctl backfill`. Raises PermanentError with the reason when there is nothing to be had."""
        match request:
            case {"source": str(source), "first": str(first), "last": str(last)}:
                wish = Backfill(first, last, anew=request.get("anew") is True)
                return asdict(await self._capture.backfill(source, wish))
        raise PermanentError("backfill.bad_range", "name a source, a first and a last day")

    async def _trust(self, request: Mapping[str, Any]) -> str:
        """`routerctl trust`: a POS was given a new certificate, and somebody who knows says so."""
        source = str(request.get("source", ""))
        await self._capture.trust(source)
        return f"{source}: the certificate shown at the next poll is the right one"

    def _parts(self) -> status.Parts:
        spool = self._spool.snapshot()
        spool_view = asdict(spool)
        del spool_view["latencies_ms"], spool_view["counts"]
        forward: dict[str, Any] = asdict(self._forwarder.snapshot()) if self._forwarder else {"state": "setup"}
        for name, share in (("latency_p50_ms", 0.50), ("latency_p99_ms", 0.99)):
            at = int(share * (len(spool.latencies_ms) - 1))
            forward[name] = spool.latencies_ms[at] if spool.latencies_ms else None
        return status.Parts(
            version=__version__,
            device=self._key.device if self._key else "",
            uptime_s=(self._clock.mono_ns() - self._started_ns) / 1e9,
            counts=spool.counts,
            no_counts=Counts(),
            sources=self._capture.snapshot(),
            spool=spool_view,
            forward=forward,
            conditions=self._conditions.snapshot(),
            now_ns=self._clock.mono_ns(),
        )


def _dictionaries(config: Config) -> tuple[dict[str, int], dict[int, bytes]]:
    """(source -> dictionary id, id -> content): only the dictionaries that the sources' formats want."""
    ids: dict[str, int] = {}
    contents: dict[int, bytes] = {}
    for source in config.sources:
        name = dictionaries.for_source(source.framer, dialect_name(source))
        if name:
            content = dictionaries.load(name)
            ids[source.name] = codec.dictionary_id(content)
            contents[ids[source.name]] = content
    return ids, contents


def main() -> int:
    """The console script `routerd`."""
    try:
        command, path = _arguments(sys.argv[1:])
        if command == "help":
            sys.stdout.write(_USAGE)
            return 0
        if command == "version":
            sys.stdout.write(f"routerd {__version__}\n")
            return 0
        config = load(path)
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
        if command == "check":
            _built(config, path)
            sys.stdout.write(f"{path}: {len(config.sources)} sources, all well\n")
            return 0
        asyncio.run(_built(config, path).run())
    except ConfigError as exc:
        sys.stderr.write(f"routerd: {exc}\n")
        return EXIT_CONFIG
    except PermanentError as exc:
        sys.stderr.write(f"routerd: {exc.code}: {exc}\n")
        return 1
    return 0


def _built(config: Config, path: Path) -> Daemon:
    """Raises ConfigError that names the file."""
    try:
        return Daemon(config)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def _arguments(words: list[str]) -> tuple[str, Path]:
    """argparse would cost the resident daemon 1.3 MB for two words."""
    command, path = "run", Path("/etc/routerd/routerd.toml")
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help", "help"):
            return "help", path
        if word in ("--version", "version"):
            return "version", path
        if word in ("run", "check"):
            command = word
        elif word == "--config" and rest:
            path = Path(rest.pop(0))
        elif word.startswith("--config="):
            path = Path(word.removeprefix("--config="))
        else:
            raise ConfigError(f"{word!r} is not understood: see routerd --help")
    return command, path


if __name__ == "__main__":
    sys.exit(main())
