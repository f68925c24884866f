"""The levers by name, for a person or another process: one command a line in, one JSON object a line out."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from scripts.commander.commander import Commander
from scripts.pos.console import orders

HELP = """\
levers, one a line on standard input; every line is answered with one line of JSON:
  status                 counters, cookies, fingerprint
  down | up | reboot     the controller is away | back, with the registers' backlog | both
  reinstall              reloaded from an image: uniqueID starts over behind a new prefix
  close | close shift    somebody ends the day | the shift only
  hide ID | show ID      leave a record out of all documents (totals stay) | put it back
  cut N [BYTES]          the next N documents break, at random or behind BYTES
  short N [BYTES]        the same, but the HTTP answer looks complete
  unavailable N | busy N the next N requests get 503 | the busy fault
  stall N | resume       the next N documents stop | go on
  pause SECONDS          between pieces of 16 KiB of every answer
  certificate            a new certificate
  occupy N               other pollers take N cookies and keep them
  forget | unlock        all cookies become invalid | the account is unlocked
"""
_Lever = Callable[[Commander, list[str]], Awaitable[None] | None]


def _count(words: list[str]) -> int:
    return int(words[0]) if words else 1


def _at(words: list[str]) -> int:
    return int(words[1]) if len(words) > 1 else -1


def _pause(pos: Commander, words: list[str]) -> None:
    pos.troubles.pause_s = float(words[0])


def _occupy(pos: Commander, words: list[str]) -> None:
    pos.occupy(_count(words))


_LEVERS: dict[str, _Lever] = {
    "status": lambda pos, words: None,
    "down": lambda pos, words: pos.go_down(),
    "up": lambda pos, words: pos.come_up(),
    "reboot": lambda pos, words: pos.reboot(),
    "reinstall": lambda pos, words: pos.reinstall(),
    "close": lambda pos, words: pos.close(shift_only=words == ["shift"]),
    "hide": lambda pos, words: pos.hide(words[0]),
    "show": lambda pos, words: pos.show(words[0]),
    "cut": lambda pos, words: pos.troubles.cut(_count(words), _at(words)),
    "short": lambda pos, words: pos.troubles.cut(_count(words), _at(words), short=True),
    "unavailable": lambda pos, words: pos.troubles.unavailable(_count(words)),
    "busy": lambda pos, words: pos.troubles.busy(_count(words)),
    "stall": lambda pos, words: pos.troubles.stall(_count(words)),
    "resume": lambda pos, words: pos.troubles.resume(),
    "pause": _pause,
    "certificate": lambda pos, words: pos.change_certificate(),
    "occupy": _occupy,
    "forget": lambda pos, words: pos.forget_cookies(),
    "unlock": lambda pos, words: pos.unlock(),
}


async def pull(pos: Commander, name: str, *words: str) -> dict[str, object]:
    """Pull one lever; the answer is `status`, or `error` saying what was wrong with the order."""
    lever = _LEVERS.get(name)
    if not lever:
        return {"error": f"no lever {name!r}; there are {', '.join(_LEVERS)}"}
    try:
        done = lever(pos, list(words))
        if done:
            await done
    except (ValueError, IndexError) as exc:
        return {"error": f"{name}: {exc}"}
    return status(pos)


def status(pos: Commander) -> dict[str, object]:
    return {
        "url": pos.url,
        "fingerprint": pos.fingerprint,
        "cookies_in_use": pos.cookies_in_use,
        "cookies_max": pos.cookies_max,
        "locked": pos.locked,
        **asdict(pos.counters),
    }


async def obey(pos: Commander) -> None:
    """Take levers from standard input until it ends."""
    async for order in orders():
        print(json.dumps(await pull(pos, *order)), flush=True)
