"""The levers by name, for a person or another process: one command a line in, one JSON object a line out."""

import json
from collections.abc import Callable

from scripts.passport.outbox import Outbox
from scripts.pos.console import orders

HELP = """\
levers, one a line on standard input; every line is answered with one line of JSON:
  status                      how many files are whole, which grow
  drop [N]                    begin the next N files now
  steal [N]                   another product deletes N files
  rename NAME TO              somebody renames a file
  lock NAME [HOW] | unlock NAME   HOW is mode (000), directory or fifo
  lose | lose empty | return  the share is away, or an empty mount point | back
"""
_Lever = Callable[[Outbox, list[str]], object]


def _count(words: list[str]) -> int:
    return int(words[0]) if words else 1


_LEVERS: dict[str, _Lever] = {
    "status": lambda box, words: None,
    "drop": lambda box, words: box.drop(_count(words)),
    "steal": lambda box, words: box.steal(_count(words)),
    "rename": lambda box, words: box.rename(words[0], words[1]),
    "lock": lambda box, words: box.lock(words[0], *words[1:2]),
    "unlock": lambda box, words: box.unlock(words[0]),
    "lose": lambda box, words: box.lose_share(empty=words == ["empty"]),
    "return": lambda box, words: box.return_share(),
}


def pull(box: Outbox, name: str, *words: str) -> dict[str, object]:
    """Pull one lever; the answer is `status`, with what the lever gave, or `error`."""
    lever = _LEVERS.get(name)
    if not lever:
        return {"error": f"no lever {name!r}; there are {', '.join(_LEVERS)}"}
    try:
        done = lever(box, list(words))
    except (ValueError, IndexError, KeyError, OSError) as exc:
        return {"error": f"{name}: {exc}"}
    return {**status(box), **({"done": done} if done is not None else {})}


def status(box: Outbox) -> dict[str, object]:
    return {"folder": str(box.folder), "whole": len(box.names), "growing": box.growing}


async def obey(box: Outbox) -> None:
    """Take levers from standard input until it ends."""
    async for order in orders():
        print(json.dumps(pull(box, *order)), flush=True)
