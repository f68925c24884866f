"""Somebody who answers in the cloud's place: with its certificate and any status, or with one of his own. Shell."""

import ssl
from pathlib import Path

from aiohttp import web

from routerd.wire.answers import PROTOCOL, PROTOCOL_HEADER

PORTAL = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>Welcome to StoreWiFi</html>"


class Impostor:
    """`status` 0 answers a page, as a captive portal does. `requests` counts what it was asked."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.status = 503
        self.retry_after_s = ""
        self.requests = 0
        self.port = 0
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        await request.read()
        if self.status == 0:
            return web.Response(text="<html>Welcome to StoreWiFi</html>", content_type="text/html")
        headers = {PROTOCOL_HEADER: PROTOCOL}
        if self.retry_after_s:
            headers["Retry-After"] = self.retry_after_s
        return web.Response(status=self.status, headers=headers, text="{}")
