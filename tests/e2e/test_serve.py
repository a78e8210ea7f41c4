"""The app in a browser: a real server, its page, and the first picture through its websocket."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from tests.conftest import wait_until
from tests.e2e.command_line import CommandLine

pytest.importorskip("textual_serve", reason="NOT TESTED: the extra serve is not installed")
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), "")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Served:
    """A server and its address."""

    process: subprocess.Popen[bytes]
    address: str


@contextmanager
def serving(catalogue: Path, tmp_path: Path) -> Iterator[Served]:
    port = free_port()
    command = [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(catalogue), "serve", "--port", str(port)]
    talk = tmp_path / "serve.log"
    with talk.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: "Serving on" in talk.read_text() or process.poll() is not None, 60, "the server")
        assert "There is no login" in talk.read_text()
        yield Served(process, f"127.0.0.1:{port}")
        assert "Traceback" not in talk.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def served(catalogue: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a server on the catalogue of this test, which ctrl+c ends."""
    with serving(catalogue, tmp_path) as server:
        yield server.address
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=30) == 0


def answer(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urlopen(Request(url, headers=headers), timeout=30) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_the_page_the_picture_and_who_is_refused(served: str) -> None:
    status, page = answer(f"http://{served}/")
    assert status == 200
    assert "sap-tui" in page
    assert f"ws://{served}/ws" in page
    assert "googleapis" not in page
    assert (
        f"http://localhost:{served.rpartition(':')[2]}/static/"
        in answer(f"http://{served}/", Host=f"localhost:{served.rpartition(':')[2]}")[1]
    )
    assert answer(f"http://{served}/", Host="evil.example")[0] == 403
    assert answer(f"http://{served}/ws", Origin="http://evil.example")[0] == 403
    picture = asyncio.run(first_picture(served))
    assert "Catalogue" in picture
    assert "chatty" in picture


def test_an_app_ends_when_its_server_is_killed(catalogue: Path, tmp_path: Path) -> None:
    with serving(catalogue, tmp_path) as server:
        apps: list[psutil.Process] = []

        def kill() -> None:
            apps.extend(psutil.Process(server.process.pid).children(recursive=True))
            server.process.kill()
            server.process.wait()

        asyncio.run(first_picture(server.address, kill))
        assert apps
        assert psutil.wait_procs(apps, 20)[1] == []


async def first_picture(address: str, then: Callable[[], None] = lambda: None) -> str:
    """What the app draws until the strategies stand there, without escape sequences; then something is done."""
    import aiohttp

    drawn = b""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://{address}/ws?width=110&height=30", origin=f"http://{address}") as websocket,
    ):
        deadline = time.monotonic() + 60
        while b"chatty" not in drawn and time.monotonic() < deadline:
            message = await websocket.receive(timeout=60)
            if message.type == aiohttp.WSMsgType.BINARY:
                drawn += message.data
        then()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode("utf-8", "replace"))


@pytest.mark.skipif(not BROWSER, reason="NOT TESTED: no Chromium is installed (apt install chromium-headless-shell)")
def test_a_browser_shows_the_app_and_takes_keys(served: str, tmp_path: Path) -> None:
    """The terminal of the page is drawn on a canvas, so the picture is looked at: the colours of the theme in use."""
    dark, light = asyncio.run(shown_in_browser(served, tmp_path))
    assert share(dark, "#181b20") > 0.5
    assert share(dark, "#6ea8fe") > 0
    assert share(light, "#fbfbf9") > 0.5


def share(picture: bytes, colour: str) -> float:
    """Of the pixels, how many have exactly this colour."""
    from PIL import Image, ImageColor

    image = Image.open(BytesIO(picture)).convert("RGB")
    counts = {found: count for count, found in image.getcolors(1 << 24) or ()}
    return counts.get(ImageColor.getrgb(colour), 0) / (image.width * image.height)


async def shown_in_browser(address: str, folder: Path) -> tuple[bytes, bytes]:
    """Pictures of the app as it opens, and after the key T."""
    import aiohttp

    port = free_port()
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}",
               f"--remote-debugging-port={port}", "--window-size=1200,800", f"http://{address}/"]  # fmt: skip
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(await page_of(session, port), max_msg_size=0) as devtools,
        ):
            dark = await picture_with(devtools, "#181b20")
            for kind in ("mousePressed", "mouseReleased"):
                click = {"type": kind, "x": 600, "y": 600, "button": "left", "clickCount": 1}
                await asked(devtools, "Input.dispatchMouseEvent", **click)
            for kind in ("keyDown", "keyUp"):
                key = {"type": kind, "key": "T", "code": "KeyT", "text": "T", "windowsVirtualKeyCode": 84}
                await asked(devtools, "Input.dispatchKeyEvent", **key)
            light = await picture_with(devtools, "#fbfbf9")
            return dark, light
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()


async def picture_with(devtools: object, colour: str) -> bytes:
    """A picture of the page, once much of it has this colour."""
    deadline = time.monotonic() + 60
    while True:
        picture = b64decode((await asked(devtools, "Page.captureScreenshot"))["data"])
        if share(picture, colour) > 0.5 or time.monotonic() > deadline:
            return picture
        await asyncio.sleep(0.2)


async def page_of(session: object, port: int) -> str:
    """Where the browser's page is debugged."""
    import aiohttp

    assert isinstance(session, aiohttp.ClientSession)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            async with session.get(f"http://127.0.0.1:{port}/json") as response:
                pages = [each for each in await response.json() if each["type"] == "page"]
                if pages:
                    return str(pages[0]["webSocketDebuggerUrl"])
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.2)
    raise AssertionError("the browser did not start")


async def asked(devtools: object, method: str, **parameters: object) -> dict[str, str]:
    import aiohttp

    assert isinstance(devtools, aiohttp.ClientWebSocketResponse)
    await devtools.send_json({"id": 1, "method": method, "params": parameters})
    while True:
        message = json.loads((await devtools.receive(timeout=30)).data)
        if message.get("id") == 1:
            return dict(message["result"])


def test_an_address_that_others_reach_must_be_wanted(catalogue: Path) -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org"):
        result = CommandLine(catalogue).run("serve", "--host", host)
        assert result.returncode == 2
        assert "there is no login" in result.stderr
        assert "--i-know-there-is-no-login" in result.stderr


def test_a_port_that_is_taken_is_one_line(catalogue: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        result = CommandLine(catalogue).run("serve", "--port", str(listener.getsockname()[1]))
    assert result.returncode == 1
    assert "Cannot serve on 127.0.0.1" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_missing_extra_is_one_line_that_says_how_to_install_it(catalogue: Path, tmp_path: Path) -> None:
    (tmp_path / "textual_serve").mkdir()
    (tmp_path / "textual_serve" / "__init__.py").write_text("raise ImportError('hidden for a test')")
    command = [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(catalogue), "serve"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert result.returncode == 1
    assert result.stderr == "sap-tui: textual-serve is not installed. Install it: pip install 'sap-tui[serve]'\n"
