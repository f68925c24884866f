"""The room: takes what the edges see, keeps the inventory, raises the conditions, holds the proposals."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from routerd import __version__
from routerd.board.mnsp import Mnsp
from routerd.clock import Clock
from routerd.conditions import CRITICAL, Conditions
from routerd.discover import alarm, export
from routerd.discover.alarm import View
from routerd.discover.evidence import HINTED, Sighting
from routerd.discover.fingerprint import Rules, Verdict, classify
from routerd.discover.inventory import LEARNED, MISSING, MOVED, NEW, REPLACED, RETURNED, Change, Inventory, Moment
from routerd.discover.inventoryfile import InventoryFile, Kept
from routerd.discover.kernel import News, Report
from routerd.discover.netlink import NetLink
from routerd.discover.probe import Circumstances, Plan, Request, Step, plan
from routerd.discover.proposal import APPROVED, Profile, Proposal, answer, decide, propose, table
from routerd.errors import CorruptError, PermanentError

if TYPE_CHECKING:
    from routerd.discover.prober import Answer, AuditRow

log = logging.getLogger("routerd.discover")

LEARNING_S = 120.0  # how long a store without an inventory is looked at before anything else counts as new
SAVE_GAP_S = 30.0  # two devices that quarrel over an address may cost a write in this, no more
_DISK_RETRY_S = 300.0


class Edge(Protocol):
    """Something that sees: reports sightings and interfaces until cancelled."""

    async def run(self, report: Report) -> None: ...


class Follower(Protocol):
    """What the daemon does with decisions: both are called on the loop and must not block."""

    def approved(self, source: Mapping[str, Any]) -> None:
        """A source may be read: its [[source]] table."""

    def moved(self, name: str, place: str, was: str) -> None:
        """The device of the approved source `name` is at `place` now; `proposal.follow` gives the new link."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The data the room works by."""

    rules: Rules
    profiles: tuple[Profile, ...]
    mnsp: Mnsp


@dataclass(frozen=True, slots=True)
class Site:
    """What only others know when a host is to be probed: see `probe.Circumstances`."""

    networks: tuple[str, ...]
    minute_of_day: int | None
    is_backfilling: bool


@dataclass(frozen=True, slots=True)
class DiscoverSnapshot:
    """`devices` are the rows of `export`; `is_learning` while a store is seen for the first time."""

    devices: Sequence[Mapping[str, str]]
    proposals: Sequence[Proposal]
    links: Sequence[NetLink]
    randomised: int
    refused: int
    is_learning: bool


class Discover:
    """run(), snapshot(), and the intents of a person: answer, acknowledge."""

    def __init__(
        self,
        knowledge: Knowledge,
        file: InventoryFile,
        edges: Mapping[str, Edge],
        clock: Clock,
        conditions: Conditions,
        *,
        follower: Follower,
        nudges: Iterable[Callable[[], None]] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._knowledge = knowledge
        self._file = file
        self._edges = dict(edges)
        self._clock = clock
        self._conditions = conditions
        self._follower = follower
        self._nudges = tuple(nudges)
        self._sleep = sleep
        self._inventory = Inventory()
        self._verdicts: dict[str, Verdict] = {}
        self._proposals: dict[tuple[str, str], Proposal] = {}
        self._probed: dict[str, int] = {}
        self._links: dict[str, NetLink] = {}
        self._hints: dict[str, Sighting] = {}
        self._new: dict[str, bool] = {}  # whether it was found while learning
        self._learning_until_s = float("-inf")
        self._last_probe_s = float("-inf")
        self._stirred = asyncio.Event()
        self._saving, self._probing = asyncio.Lock(), asyncio.Lock()

    async def run(self) -> None:
        """Watch until cancelled."""
        await self._load()
        async with asyncio.TaskGroup() as group:
            for name, edge in self._edges.items():
                group.create_task(self._watch(name, edge), name=f"discover.{name}")
            group.create_task(self._keep(), name="discover.keep")

    async def _watch(self, name: str, edge: Edge) -> None:
        """An edge that the system refuses (a jail, a kernel without it) leaves the others watching."""
        try:
            await edge.run(self.take)
        except OSError as exc:
            told = f"cannot watch ({exc.strerror or exc}): what only {name} shows is not seen; give routerd the right"
            self._conditions.raise_("discover.blind", name, told)

    async def _load(self) -> None:
        try:
            kept = await asyncio.to_thread(self._file.load)
        except CorruptError as exc:
            self._conditions.raise_(exc.code, "inventory", str(exc))
            kept = None
        except OSError as exc:
            self._conditions.raise_("inventory.disk", "inventory", f"cannot be read ({exc.strerror}): check the disk")
            kept = None
        if kept is None:
            self._learning_until_s = self._now().mono_s + LEARNING_S
            kept = Kept()
        self._inventory = Inventory(kept.devices)
        self._proposals = {(each.key, each.profile): each for each in kept.proposals}
        self._probed = dict(kept.probed)
        for device in kept.devices:
            self._verdicts[device.key] = classify(device.evidence, self._knowledge.rules)
        self._inventory.expect(self._wanted(), self._now())
        for each in kept.proposals:
            if each.state == APPROVED:
                self._tell_approved(each)

    async def _keep(self) -> None:
        """Save what changed; tell who is missing when its time has come. Sleeps while there is neither."""
        while True:
            deadline_s = self._inventory.deadline_s()
            wait_s = None if deadline_s is None else max(0.0, deadline_s - self._now().mono_s)
            try:
                async with asyncio.timeout(wait_s):
                    await self._stirred.wait()
            except TimeoutError:
                pass  # somebody's time has come
            self._stirred.clear()
            self.check_missing()
            await self._sleep(SAVE_GAP_S)  # what comes together is written together, and a quarrel does not wear flash
            await self.save()

    async def save(self) -> None:
        """Write the inventory if it differs from what is on disk. A failing disk is a condition, tried again later."""
        try:
            async with self._saving:
                devices, proposals = self._inventory.devices.values(), self._proposals.values()
                await asyncio.to_thread(self._file.save, Kept(tuple(devices), tuple(proposals), dict(self._probed)))
        except OSError as exc:
            told = f"cannot be written ({exc.strerror}): devices and approvals are lost with a restart"
            self._conditions.raise_("inventory.disk", "inventory", told)
            asyncio.get_running_loop().call_later(_DISK_RETRY_S, self._stirred.set)
        else:
            self._conditions.clear("inventory.disk", "inventory")

    def take(self, news: News) -> None:
        """What an edge saw."""
        for link in (each for each in news if isinstance(each, NetLink)):
            self._take_link(link)
        sightings = [each for each in news if isinstance(each, Sighting)]
        self._hold_hints(sightings)
        waiting = [self._hints.pop(s.place) for s in sightings if s.key and s.place in self._hints]
        changes = self._inventory.observe([*sightings, *waiting], self._now(), self._wanted())
        for change in changes:
            self._apply(change)
        if any(change.kind in (NEW, REPLACED) for change in changes):
            for nudge in self._nudges:
                nudge()
        if changes or self._inventory.deadline_s() is not None:
            self._stirred.set()

    def _hold_hints(self, sightings: Iterable[Sighting]) -> None:
        """Announcements of an address nobody is known at wait for its device."""
        for seen in sightings:
            if not seen.key and seen.hints and not self._inventory.holder(seen.place) and len(self._hints) < 64:
                self._hints[seen.place] = seen

    def _take_link(self, link: NetLink) -> None:
        before = self._links.get(link.name)
        if not link.is_present:
            self._links.pop(link.name, None)
            self._conditions.clear(alarm.NO_CARRIER, link.name)
            return
        self._links[link.name] = link
        if before and before.has_carrier and link.is_up and not link.has_carrier:
            told = "nobody at the other end: see whether the cable is in and the device switched on"
            self._conditions.raise_(alarm.NO_CARRIER, link.name, told)
        elif link.has_carrier or not link.is_up:
            self._conditions.clear(alarm.NO_CARRIER, link.name)

    def _apply(self, change: Change) -> None:
        device = change.device
        self._verdicts[device.key] = classify(device.evidence, self._knowledge.rules)
        if change.kind == REPLACED and change.was in self._inventory.devices:
            loser = self._inventory.devices[change.was]
            self._verdicts[loser.key] = classify(loser.evidence, self._knowledge.rules)
        if change.kind == NEW or (change.kind == REPLACED and device.key not in self._new):
            self._new[device.key] = self._is_learning()
        self._offer(device.key)
        view = self._view(device.key, change.was if change.kind == REPLACED else "")
        if change.kind == RETURNED:
            self._conditions.clear(alarm.DEVICE_MISSING, device.key)
        elif change.kind != LEARNED and (found := alarm.of_change(change, view, self._offered())):
            self._raise(found)
        if device.key in self._new:
            self._tell_new(device.key)
        if change.kind in (MOVED, REPLACED):
            for each in view.proposals:
                if each.state == APPROVED and change.kind == MOVED:
                    self._follower.moved(each.name, device.place, change.was)
        log.info("%s: %s", change.kind, alarm.describe(device, view.verdict))

    def _offer(self, key: str) -> None:
        """Propose what fits the device, and let the provider's policy decide."""
        device, verdict = self._inventory.devices[key], self._verdicts[key]
        for each in propose([device], self._verdicts, self._knowledge.profiles, self._proposals.values()):
            self._proposals[each.key, each.profile] = each
        role = self._knowledge.mnsp.role_of(device.interface)
        for each in self._of(key):
            decided = decide(each, verdict, role, self._knowledge.mnsp.approval, self._clock.wall_ms())
            if decided != each:
                self._proposals[each.key, each.profile] = decided
                self._tell_approved(decided)

    def _tell_new(self, key: str) -> None:
        found = alarm.of_new(self._inventory.devices[key], self._view(key), is_learning=self._new[key])
        if found:
            self._raise(found)
        else:
            self._conditions.clear(alarm.DEVICE_NEW, key)

    def check_missing(self) -> None:
        """Tell who has been silent too long."""
        for change in self._inventory.overdue(self._now()):
            if change.kind == MISSING and (
                found := alarm.of_change(change, self._view(change.device.key), self._offered())
            ):
                self._raise(found)

    def _raise(self, found: alarm.Alarm) -> None:
        if found.code == alarm.DEVICE_MISSING:
            self._conditions.raise_(found.code, found.subject, found.message, CRITICAL)
        else:
            self._conditions.raise_(found.code, found.subject, found.message)

    async def answer(self, name: str, state: str, by: str) -> Proposal:
        """A person approves or ignores the proposal called `name`; on disk when this returns.

        PermanentError `proposal.unknown`, or as `proposal.answer` says.
        """
        found = next((each for each in self._proposals.values() if each.name == name), None)
        if found is None:
            names = ", ".join(sorted(each.name for each in self._proposals.values())) or "none yet"
            raise PermanentError("proposal.unknown", f"no proposal {name!r}: there are {names}")
        decided = answer(found, state, by, self._clock.wall_ms())
        self._proposals[decided.key, decided.profile] = decided
        self.acknowledge(decided.key)
        if state == APPROVED:
            self._tell_approved(decided)
        await self.save()
        return decided

    def acknowledge(self, key: str) -> None:
        """A person has seen what is told of a device; what is missing stays so until it is back."""
        self._new.pop(key, None)
        for code in (alarm.DEVICE_NEW, alarm.DEVICE_MOVED, alarm.DEVICE_REPLACED):
            self._conditions.clear(code, key)

    def plan_probe(self, request: Request, profile_id: str, site: Site) -> Plan:
        """Exactly what would be sent to whom, and what is refused and why. PermanentError `probe.no_profile`."""
        profile = next((each for each in self._knowledge.profiles if each.id == profile_id), None)
        if profile is None:
            known = ", ".join(each.id for each in self._knowledge.profiles)
            raise PermanentError("probe.no_profile", f"no profile {profile_id!r}: there are {known}")
        now, device = self._now(), self._inventory.devices.get(self._inventory.holder(request.host))
        circumstances = Circumstances(
            policy=self._knowledge.mnsp.probing,
            networks=site.networks,
            probed=self._probed,
            wall_ms=now.wall_ms,
            minute_of_day=site.minute_of_day,
            is_backfilling=site.is_backfilling,
            since_last_s=now.mono_s - self._last_probe_s,
        )
        verdict = self._verdicts.get(device.key) if device else None
        return plan(request, device, verdict, profile, circumstances, __version__)

    async def probe(
        self, request: Request, profile_id: str, site: Site, audit: "Callable[[AuditRow], None]"
    ) -> "list[tuple[Step, Answer]]":
        """Do what `plan_probe` lists, one request after the other; what it shows counts as evidence."""
        from routerd.discover.prober import probe  # TLS and digests: only a technician needs them

        async with self._probing:
            wanted = self.plan_probe(request, profile_id, site)
            now = self._now()
            self._probed |= {f"{step.host}:{step.port}": now.wall_ms for step in wanted.steps}
            if wanted.steps:
                await self.save()  # before the first packet: a restart must not make it twice a day
            answers = await probe(wanted, audit, self._sleep)
            if wanted.steps:
                self._last_probe_s = self._now().mono_s
        self.take([Sighting("", step.host, HINTED, hints=answer.evidence) for step, answer in answers])
        return answers

    def sources(self) -> list[dict[str, Any]]:
        """The [[source]] tables of everything approved whose device has a place."""
        found = [self._table(each) for each in self._proposals.values() if each.state == APPROVED]
        return [row for row in found if row]

    def _tell_approved(self, proposal: Proposal) -> None:
        if row := self._table(proposal):
            self._follower.approved(row)

    def _table(self, proposal: Proposal) -> dict[str, Any] | None:
        profile = next((each for each in self._knowledge.profiles if each.id == proposal.profile), None)
        device = self._inventory.devices.get(proposal.key)
        return table(proposal, profile, device) if profile and device and device.place else None

    def _view(self, key: str, loser: str = "") -> View:
        device = self._inventory.devices[key]
        own = self._of(key)
        is_read = any(each.state == APPROVED for each in (*own, *self._of(loser)))
        return View(self._verdicts[key], own, self._knowledge.mnsp.role_of(device.interface), is_read)

    def _of(self, key: str) -> tuple[Proposal, ...]:
        return tuple(each for each in self._proposals.values() if each.key == key)

    def _wanted(self) -> set[str]:
        return {each.key for each in self._proposals.values() if each.state == APPROVED}

    def _offered(self) -> set[str]:
        return {class_id for profile in self._knowledge.profiles for class_id in profile.classes}

    def _is_learning(self) -> bool:
        return self._now().mono_s < self._learning_until_s

    def _now(self) -> Moment:
        stamp = self._clock.stamp()
        return Moment(stamp.mono_ns / 1e9, stamp.wall_ms if stamp.synced else 0)

    def snapshot(self) -> DiscoverSnapshot:
        inventory, proposals = self._inventory, list(self._proposals.values())
        return DiscoverSnapshot(
            devices=export.rows(
                inventory.devices.values(), inventory.presence, self._verdicts, proposals, self._knowledge.rules
            ),
            proposals=proposals,
            links=sorted(self._links.values(), key=lambda each: each.name),
            randomised=len(inventory.randomised),
            refused=inventory.refused,
            is_learning=self._is_learning(),
        )
