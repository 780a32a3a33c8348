"""A web server on this machine that misbehaves on request."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from combgrad.data.files import download as module


class Handler(BaseHTTPRequestHandler):
    """Serves `content`; `plan` holds one behaviour per coming request, "" being the right one."""

    content: ClassVar[bytes]
    tag: ClassVar[str]
    changed: ClassVar[str]
    plan: ClassVar[list[str]]
    seen: ClassVar[list[dict[str, str]]]
    barrier: ClassVar[threading.Event]

    def do_GET(self) -> None:
        """Answer as the plan says."""
        cls = type(self)
        cls.seen.append(dict(self.headers))
        behaviour = cls.plan.pop(0) if cls.plan else ""
        if behaviour.isdigit():
            self.send_error(int(behaviour))
            return
        if behaviour.startswith("to "):
            self.send_response(302)
            self.send_header("Location", behaviour.removeprefix("to "))
            self.end_headers()
            return
        self.answer(behaviour)

    def answer(self, behaviour: str) -> None:
        """Send the content, or as much of it as was asked for."""
        cls = type(self)
        wanted = self.headers.get("Range")
        given = self.headers.get("If-Range")
        same = given in (None, cls.tag, cls.changed) or behaviour == "ignore if-range"
        start = 0
        if wanted and same and behaviour != "ignore range":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            total = len(cls.content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        if cls.tag:
            self.send_header("ETag", cls.tag)
        if cls.changed:
            self.send_header("Last-Modified", cls.changed)
        if behaviour not in ("no length", "endless", "longer"):
            self.send_header("Content-Length", str(len(cls.content) - start))
        self.end_headers()
        if behaviour in ("endless", "longer"):
            self.send_without_end(cls.content)
            return
        if behaviour == "wait":
            cls.barrier.wait(10)
        stop = start + (len(cls.content) - start) // 2 if behaviour == "cut" else None
        self.wfile.write(cls.content[start:stop])

    def send_without_end(self, content: bytes) -> None:
        """Send the content again and again, until nobody listens any more."""
        with contextlib.suppress(ConnectionError):
            while True:
                self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


class Server:
    """A running server and what it was asked."""

    def __init__(self) -> None:
        plan: list[str] = []
        seen: list[dict[str, str]] = []
        fields: dict[str, Any] = {
            "content": b"",
            "tag": '"one"',
            "changed": "",
            "plan": plan,
            "seen": seen,
        }
        fields["barrier"] = threading.Event()
        self.handler: Any = type("Handler", (Handler,), fields)
        self.plan, self.seen = plan, seen
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/set.tar.gz"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, with pauses between attempts too short to wait for and no proxy before it."""
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()
