"""Both planes, put together from their parts."""

from aiohttp import web

from fleetd.enroll.device_plane import DevicePlane
from fleetd.enroll.fleet_plane import FleetPlane
from fleetd.enroll.front import Front, Parts
from fleetd.enroll.orders import Orderer
from fleetd.enroll.waiters import Results, Waiters
from fleetd.http import expect


class Planes:
    """`mount` adds the routes; `front.fresh` belongs among the application's middlewares, behind `answers`."""

    def __init__(self, parts: Parts) -> None:
        self.front = Front(parts)
        self._waiters = Waiters()
        results = Results()
        orderer = Orderer(self.front, self._waiters, results)
        self._routes = DevicePlane(self.front, self._waiters, results, orderer).routes()
        self._routes += FleetPlane(self.front, orderer, self._waiters).routes()

    def mount(self, app: web.Application) -> None:
        for route in self._routes:
            app.router.add_route(route.method, route.path, route.handler, expect_handler=expect)

    def release(self) -> None:
        """Answer every held poll, so that stopping need not wait for them."""
        self._waiters.wake_all()
