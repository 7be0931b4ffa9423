"""Runs the sandbox CLM as a real process on a free loopback port, and a receiver for its webhooks."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

TOKEN, SECRET = "letmein", "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"

_PROGRAM = """
import sys
from pathlib import Path
from app.sandbox.clm.process import serve
from app.sandbox.clm.webhooks import Target
journal, token, url, secret = sys.argv[1:]
target = Target(url, secret) if url else None
serve(host="127.0.0.1", port=0, token=token, seed=1, webhook=target, journal=Path(journal))
"""


class ClmProcess:
    def __init__(self, journal: Path, webhook_url: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(journal), TOKEN, webhook_url, SECRET],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        said: list[str] = []
        for line in self._process.stderr:
            said.append(line)
            found = re.search(r"running on (http://127\.0\.0\.1:\d+)", line)
            if found:
                self.url = found.group(1)
                return
        raise AssertionError(f"the sandbox CLM did not start: {''.join(said)}")

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._end()

    def stop(self) -> None:
        self._process.terminate()
        self._end()

    def _end(self) -> None:
        self._process.wait(timeout=20)
        if self._process.stderr is not None:
            self._process.stderr.close()


@contextmanager
def running_clm(journal: Path, webhook_url: str = "") -> Iterator[ClmProcess]:
    process = ClmProcess(journal, webhook_url)
    try:
        yield process
    finally:
        process.stop()


class Receiver:
    """Takes webhooks on a free port. Answers 503 to the first `refusals`; `arrived` is set by each accepted one."""

    def __init__(self, refusals: int = 0) -> None:
        self.accepted: list[tuple[dict[str, str], bytes]] = []
        self.arrived = threading.Event()
        receiver, left = self, [refusals]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                refused = left[0] > 0
                left[0] -= 1
                self.send_response(503 if refused else 202)
                self.send_header("content-length", "0")
                self.end_headers()
                if not refused:
                    receiver.accepted.append(({k.lower(): v for k, v in self.headers.items()}, body))
                    receiver.arrived.set()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
                """Silent."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
