"""The app in a browser. There is no login, so every request is checked for where it comes from."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from textual_serve import server
from textual_serve.app_service import AppService

REMOTE_FONT = re.compile(r"<link\b[^>]*\bfonts\.googleapis\.com[^>]*>")


class PatientAppService(AppService):
    """Waits for the end of its app's process: a loop that closes before tells on stderr what it left open."""

    async def stop(self) -> None:
        await super().stop()
        if self._process is not None:
            await self._process.wait()


class OwnServer(server.Server):
    """textual-serve for one command; with `hosts` only for pages that were asked for under these names."""

    def __init__(self, command: str, host: str, port: int, hosts: Collection[str]) -> None:
        super().__init__(command, host=host, port=port, title="sap-tui")
        self._hosts = hosts

    def initialize_logging(self) -> None:
        """Faults alone, without the local variables that textual-serve would print."""
        logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="sap-tui: %(message)s")

    async def on_startup(self, app: web.Application) -> None:
        print(f"Serving on {self.public_url} until ctrl+c.", file=sys.stderr, flush=True)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard())
        return app

    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            # Another page in the same browser can name a host that leads here, and open a websocket to here.
            if self._hosts and urlsplit(f"//{request.host}").hostname not in self._hosts:
                raise web.HTTPForbidden(text="This address is not served.")
            origin = request.headers.get("Origin")
            if origin is not None and urlsplit(origin).netloc != request.host:
                raise web.HTTPForbidden(text="Pages of other sites are not served.")
            return await handler(request)

        return guard

    async def handle_index(self, request: web.Request) -> web.Response:
        """The page, which fetches nothing from elsewhere and comes back to the address it was asked for under."""
        self.public_url = f"{request.scheme}://{request.host}"
        page = await super().handle_index(request)
        assert isinstance(page, web.Response)
        page.text = REMOTE_FONT.sub("", page.text or "")
        return page


def serve_app(command: str, host: str, port: int, hosts: Collection[str]) -> None:
    """Run the server until it is interrupted. OSError when it cannot listen there."""
    server.AppService = PatientAppService  # type: ignore[attr-defined]
    OwnServer(command, host, port, hosts).serve()
