"""Headless Chromium, driven through its DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from websocket import WebSocket, create_connection

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_LIMIT = 120  # seconds for any call; a safety net that no passing test reaches


class Browser:
    """A page in its own browser. `problems`: the page's errors and warnings; `requests`: what it requested."""

    def __init__(self, folder: Path) -> None:
        """folder: for the browser's files."""
        assert CHROMIUM is not None
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
        flags += ["--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
        environment = {**os.environ, "HOME": str(folder)}
        self._process = subprocess.Popen(
            [CHROMIUM, *flags, "about:blank"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self._socket, self._count = self._connected(), 0
        self.problems: list[str] = []
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = str(self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _connected(self) -> WebSocket:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith("DevTools listening on "):
                return create_connection(line.split()[-1], timeout=_LIMIT, suppress_origin=True)
        raise AssertionError("the browser ended before it listened")

    def close(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.communicate()

    def _call(self, method: str, session: str | None = None, **params: object) -> dict[str, object]:
        self._count += 1
        content = {"id": self._count, "method": method, "params": params}
        self._socket.send(json.dumps(content if session is None else {**content, "sessionId": session}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, dict[str, dict[str, object]]]) -> None:
        method, params = str(event.get("method")), event.get("params", {})
        said = method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning")
        if said or method in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.problems.append(json.dumps(params))
        elif method == "Network.requestWillBeSent":
            self.requests.append(str(params["request"]["url"])[:200])

    def call(self, method: str, **params: object) -> dict[str, object]:
        return self._call(method, self._session, **params)

    def show(self, url: str, width: int = 1280, height: int = 900, dark: bool = False, phone: bool = False) -> None:
        """Opens a page and waits until its script has run."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && document.querySelector('#report table') !== null")

    def value(self, script: str) -> object:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return dict(answer["result"]).get("value")  # type: ignore[call-overload]

    def wait_for(self, condition: str) -> None:
        end = time.monotonic() + _LIMIT
        while not self.value(condition):
            assert time.monotonic() < end, condition

    def mouse(self, kind: str, x: float, y: float, **params: object) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **params)

    def screenshot(self, path: Path) -> None:
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(str(picture["data"])))
