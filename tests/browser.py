"""A headless Chromium for tests, driven over W3C WebDriver by the standard library.

Needs the commands `chromium` and `chromedriver` (Debian: chromium and chromium-driver).
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


def commands() -> tuple[str, str] | None:
    """Paths of the browser and its driver; None when one is not installed."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One tab.

    Args:
        session: URL of the WebDriver session.
    """

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, page: Path, width: int = 1200, dark: bool = False) -> None:
        """Show a file as a window of `width` CSS pixels does, and wait until it is loaded."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._cdp("Emulation.setDeviceMetricsOverride", size)
        self._cdp("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._post("url", {"url": page.as_uri()})

    def eval(self, script: str) -> Any:
        """The value of a JavaScript function body."""
        return self._post("execute/sync", {"script": script, "args": []})

    def console(self) -> list[str]:
        """What the browser logged since the last call: errors and refused loads."""
        return [entry["message"] for entry in self._post("se/log", {"type": "browser"})]

    def screenshot(self, path: Path) -> None:
        """Write the whole page as a PNG."""
        shot = self._cdp("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        """The page as it prints."""
        return base64.b64decode(self._post("print", {}))

    def _cdp(self, command: str, parameters: dict[str, Any]) -> Any:
        return self._post("goog/cdp/execute", {"cmd": command, "params": parameters})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return _request("POST", f"{self._session}/{path}", body)


@contextmanager
def start() -> Iterator[Browser]:
    """Start driver and browser; both end with the context.

    Raises:
        RuntimeError: one of them is not installed or does not start.
    """
    found = commands()
    if found is None:
        raise RuntimeError("chromium or chromedriver is not installed")
    binary, driver = found
    with tempfile.TemporaryDirectory() as profile:
        options = {"binary": binary, "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        process = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            base = f"http://127.0.0.1:{_port(process)}/session"
            opened = _request("POST", base, {"capabilities": {"alwaysMatch": wanted}})
            session = f"{base}/{opened['sessionId']}"
            try:
                yield Browser(session)
            finally:
                _request("DELETE", session, None)
        finally:
            process.terminate()
            process.communicate(timeout=20)


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"started successfully on port (\d+)", line)
        if found:
            return int(found[1])
    raise RuntimeError("chromedriver did not start")


def _request(method: str, url: str, body: dict[str, Any] | None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    # No proxy: the driver listens on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return json.load(answer)["value"]
