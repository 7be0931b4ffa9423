"""The processes around a benchmark: sandbox ERPs, workers, and a PostgreSQL of its own with production's settings."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import httpx
import orjson

from app.postgres.embedded import EmbeddedPostgres, Endpoint, Role
from benchmarks.provision_worker import Order, Used
from sync_core.store.migrate import migrate


class ErpProcess:
    """A sandbox-cloud with its records in memory alone."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "app.sandbox.cloud"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.ready: dict[str, str] = orjson.loads(self._process.stdout.readline())
        self.pid = self._process.pid

    def furnish(self, master: dict[str, list[dict[str, str]]]) -> None:
        headers = {"x-sandbox-token": self.ready["admin_token"]}
        httpx.post(f"{self.ready['url']}/_sandbox/master", json=master, headers=headers).raise_for_status()

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=20)


class WorkerProcess:
    def __init__(self, order: Order) -> None:
        command = [sys.executable, "-m", "benchmarks.provision_worker"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._tell(orjson.dumps(asdict(order)))

    def await_ready(self) -> None:
        if self._hear() != "ready":
            raise RuntimeError("a worker did not get ready; what it wrote to stderr says why")

    def go(self) -> None:
        self._tell(b"go")

    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> Used:
        """Ends it; what it used between go and stop."""
        self._tell(b"stop")
        said = self._hear()
        self._process.communicate(timeout=30)
        if not isinstance(said, dict):
            raise RuntimeError("a worker ended without a word; what it wrote to stderr says why")
        return Used(**said)

    def kill(self) -> None:
        if self.alive():
            self._process.kill()
        self._process.communicate()

    def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def _hear(self) -> object:
        assert self._process.stdout is not None
        return orjson.loads(self._process.stdout.readline() or b"null")


@contextmanager
def erps(masters: Sequence[dict[str, list[dict[str, str]]]]) -> Iterator[list[ErpProcess]]:
    """Fresh ERPs, one per set of master data."""
    with ExitStack() as stack:
        started = []
        for master in masters:
            erp = ErpProcess()
            stack.callback(erp.stop)
            erp.furnish(master)
            started.append(erp)
        yield started


@contextmanager
def database(kept: Path | None = None) -> Iterator[Endpoint]:
    """A migrated PostgreSQL in a directory of its own, on the disk of temporary files; or in `kept`, where it stays."""
    with ExitStack() as stack:
        place = kept or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tieline-bench-")))
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o711)  # the account that runs the server passes through
        postgres = EmbeddedPostgres(place / "home", fallback=place / "fallback")
        stack.callback(postgres.stop if kept else postgres.destroy)
        endpoint = postgres.start()
        migrate(endpoint.url(Role.OWNER), app_role=Role.APP)
        yield endpoint
