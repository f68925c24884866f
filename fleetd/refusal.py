"""Why a request was refused: one row of the error table."""

from collections.abc import Mapping
from typing import Any

from routerd.errors import RouterdError


class Refusal(RouterdError):
    """Ends a request with an HTTP status and the error body's code. `more` joins the body beside `error`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after_s: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.more = more or {}
