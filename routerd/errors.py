"""What can go wrong, told by who must act. Every error carries a stable dotted code (`cloud.refused`)."""


class RouterdError(Exception):
    """Abstract root. `code` is stable and machine-readable; the message is one line for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TransientError(RouterdError):
    """Nobody need act: wait and retry. `retry_after_s` is the other side's exact wish, if it named one."""

    def __init__(self, code: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after_s = retry_after_s


class PermanentError(RouterdError):
    """A person must act: raise a condition and wait at the ceiling. Nothing is deleted."""


class CorruptError(RouterdError):
    """These bytes are damaged: quarantine them, count them, go on."""


class ConfigError(PermanentError):
    """The configuration is impossible. The message names file, key and remedy."""

    def __init__(self, message: str) -> None:
        super().__init__("config.invalid", message)
