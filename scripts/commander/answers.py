"""Every text the CGI says that is not a period: credential, faults, the list, the version, the login page. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

COMMANDS = ("validate", "vtlogpdlist", "vtransset", "vtranssetz", "releaseCredential", "vAppInfo")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_DOMAIN = "urn:vfi-sapphire:np.domain.2001-07-01"
_VS = "urn:vfi-sapphire:vs.2001-10-01"
_PERIODS = {1: "SHIFT", 2: "DAILY"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What a refused request is told; the package's docstring says what is known of code and message."""

    code: str
    message: str


NO_CREDENTIAL = Fault("CGIPortal.LoginRequired", "No Credential for the User. Please login to get the Credential")
WRONG = Fault("CGIPortal.InternalError", "Invalid Credentials")
LOCKED = Fault("CGIPortal.InternalError", "Maximum failed attempts reached. User locked out")
OTP = Fault("CGIPortal.OTPRequired", "OTP_REQUIRED")
NO_COOKIES_LEFT = Fault("CGIPortal.InternalError", "Maximum number of credentials in use")
NO_FILE = Fault("CGIPortal.InternalError", "File not found")
NO_COMMAND = Fault("CGIPortal.CommandNotFound", "Command not found")
BUSY = Fault("CGIPortal.InternalError", "Controller is busy")

LOGIN_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>System</title></head><body>"
    b'<form method="post" action="/ConfigClient.html"><input name="user"/><input name="passwd" type="password"/></form>'
    b"</body></html>\n"
)


class RefusedError(Exception):
    """The CGI answers with `fault`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def fault_xml(fault: Fault) -> bytes:
    return (
        f'{_HEAD}<VFI:Response xmlns:VFI="{_DOMAIN}"><VFI:Fault><faultCode>{fault.code}</faultCode>'
        f'<faultString>CGIPortal Error</faultString><detail><e:vfiFault xmlns:e="{_DOMAIN}">'
        f"<e:message>{escape(fault.message)}</e:message></e:vfiFault></detail></VFI:Fault></VFI:Response>"
    ).encode()


def credential_xml(cookie: str, store: str, commands: Iterable[str]) -> bytes:
    return (
        f'{_HEAD}<domain:credential xmlns:domain="{_DOMAIN}" xmlns:vs="{_VS}"><cookie>{cookie}</cookie>'
        f"<vs:site>{escape(store)}</vs:site><funcList>{','.join(commands)}</funcList></domain:credential>"
    ).encode()


def released_xml() -> bytes:
    return f'{_HEAD}<VFI:Response xmlns:VFI="{_DOMAIN}"/>'.encode()


def version_xml(version: str) -> bytes:
    return (
        f'{_HEAD}<domain:appInfo xmlns:domain="{_DOMAIN}"><app><name>Commander</name>'
        f"<version>{escape(version)}</version></app></domain:appInfo>"
    ).encode()


def list_xml(names: Iterable[tuple[int, str]]) -> bytes:
    """The periodList of (period, name) pairs, `current` among the names, in the order given."""
    body = "".join(_info(period, name) for period, name in names)
    return (
        f'{_HEAD}<domain:periodList xmlns:domain="{_DOMAIN}" xmlns:vs="{_VS}">{body}</domain:periodList>\n'
    ).encode()


def _info(period: int, name: str) -> str:
    kind, eps = _PERIODS[period], ""
    date, _, number = name.partition(".")
    words = f"{date} ({kind}-{number})" if number else f"Current {kind}"
    if number and period == 2:
        batches = "".join(
            f'<epsBatchInfo epsID="{eps}"><terminalBatch>{int(number) + more}</terminalBatch></epsBatchInfo>'
            for eps, more in ((1, 144), (2, 1999))
        )
        eps = f"<epsReconciliation>{batches}</epsReconciliation>"
    return (
        f'<periodInfo><vs:period sysid="{period}"/>{eps}<name>{name}</name><desc>{words}</desc><reportParameters>'
        f'<reportParameter name="period">{period}</reportParameter>'
        f'<reportParameter name="filename">{name}</reportParameter></reportParameters></periodInfo>'
    )
