"""Serves a report on this machine while runs train."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agents.settings.values import ConfigError
from rl.experiments.report.page import html

_HOST = "127.0.0.1"


def _until_closed(handler: BaseHTTPRequestHandler) -> None:
    with suppress(ConnectionError):  # the page was closed in the middle of an answer
        BaseHTTPRequestHandler.handle(handler)


def server(content: Callable[[], Mapping[str, object]], port: int) -> ThreadingHTTPServer:
    """A server on the loopback address: / is the page, /data its newest content. port: 0 chooses a free one.

    Raises OSError if the port is not available.
    """

    def hosts() -> tuple[str, ...]:
        """Allowed Host headers; others are refused, since a foreign page could reach this server under another name."""
        return tuple(f"{name}:{serving.server_port}" for name in (_HOST, "localhost"))

    class Handler(BaseHTTPRequestHandler):
        handle = _until_closed

        def do_GET(self) -> None:
            if self.headers.get("Host") not in hosts():
                self._answer(HTTPStatus.FORBIDDEN, "text/plain", "only this machine may read the report")
            elif self.path not in ("/", "/data"):
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", "not found")
            else:
                self._report()

        def _report(self) -> None:
            try:
                found = content()
            except (ConfigError, OSError) as error:
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", " ".join(str(error).split()))
                return
            if self.path == "/":
                self._answer(HTTPStatus.OK, "text/html", html(found, live=True))
            else:
                self._answer(HTTPStatus.OK, "application/json", json.dumps(found, allow_nan=False))

        def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
            body = text.encode("utf-8", "backslashreplace")
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
            """Prints nothing."""

    serving = ThreadingHTTPServer((_HOST, port), Handler)
    return serving
