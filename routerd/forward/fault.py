"""The one thing that is wrong with a subject now."""

from routerd.conditions import Conditions


class Fault:
    """At most one condition about `subject` at a time: another one takes the place of the last."""

    def __init__(self, conditions: Conditions, subject: str) -> None:
        self._conditions = conditions
        self._subject = subject
        self._code = ""

    def raise_(self, code: str, message: str) -> None:
        """An empty code is nothing a person need know of: it only ends what was said before."""
        if code != self._code:
            self.clear()
        self._code = code
        if code:
            self._conditions.raise_(code, self._subject, message)

    def clear(self) -> None:
        if self._code:
            self._conditions.clear(self._code, self._subject)
            self._code = ""
