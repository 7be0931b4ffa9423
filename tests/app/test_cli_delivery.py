"""`tieline subscriber` and `tieline notify` beside a real worker: what happens reaches a real receiver, signed."""

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from app.cli.refusals import Exit
from tests.app.forked import tieline
from tests.app.test_cli import DEADLINE_S, TIELINE, environment, refused
from tests.databases import DatabaseUrls
from tests.reads.handmade import add_contract, add_progress
from tests.rows import ESTATE_TEXT

_ERP = 'url = "http://127.0.0.1:9"\nuser = "tieline"\nsecret_env = "ERP"'
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


class Listener(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.taken = Event()

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, (self.events, self.messages)
            self.taken.wait(0.1)
            self.taken.clear()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.path == "/events":
            Webhook(SECRET).verify(body, {k.lower(): v for k, v in self.headers.items()})
            self.server.events.append(json.loads(body))
        else:
            self.server.messages.append(json.loads(body))
        self.server.taken.set()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as one:
        thread = Thread(target=one.serve_forever)
        thread.start()
        yield one
        one.shutdown()
        thread.join()


class Cli:
    def __init__(self, home: Path, urls: DatabaseUrls, listener: Listener) -> None:
        self.home = home
        estate, text = home / "estate.toml", ESTATE_TEXT
        for kind in ("cloud", "legacy"):  # which nobody answers for
            text = text.replace(f'kind = "{kind}"', f'kind = "sandbox_cloud"\n{_ERP}')
        told = f'[[subscriber]]\nname = "books"\nurl = "http://{listener.address}/events"\nsecret_env = ["BOOKS"]\n'
        rule = '[[notify]]\nname = "ops"\nchannel_env = "OPS"\non = ["activated"]\ndigest_minutes = 0\n'
        estate.write_text(text + told + rule)
        self.more = {
            "DATABASE_URL": urls.app_libpq, "TIELINE_ESTATE": str(estate), "BOOKS": SECRET, "ERP": "s",
            "OPS": f"json://{listener.address}/message",
        }  # fmt: skip

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return tieline(self.home, *arguments, **self.more)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A real worker, which must end well when it is asked to."""
        with subprocess.Popen([*TIELINE, "worker"], env=environment(self.home, **self.more)) as process:
            try:
                yield
            finally:
                process.terminate()
            assert process.wait(DEADLINE_S) == 0

    def said(self, *arguments: str) -> str:
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def cli(tmp_path: Path, database_urls: DatabaseUrls, listener: Listener) -> Cli:
    return Cli(tmp_path, database_urls, listener)


def test_it_is_told_paused_resumed_and_sent_to_again(cli: Cli, database: sa.Engine) -> None:
    assert "paused" in cli.said("subscriber", "pause", "books", "--reason", "their server moves")
    [one] = json.loads(cli.said("subscriber", "list", "--json"))
    assert (one["name"], one["pause_reason"], one["behind"]) == ("books", "their server moves", 0)
    assert "paused by" in cli.said("subscriber", "list")
    cli.said("subscriber", "resume", "books")
    assert "from number 1" in cli.said("subscriber", "replay", "books", "--reason", "lost a day", "--seq", "1")
    assert "from number 1" in cli.said(
        "subscriber", "replay", "books", "--reason", "lost a day", "--since", "2026-01-01T00:00:00Z"
    )
    refused(cli("subscriber", "replay", "books", "--reason", "lost a day"), Exit.USAGE, "one of the two")
    refused(cli("subscriber", "pause", "nobody", "--reason", "not there"), Exit.REFUSED, "no subscriber")
    assert cli("subscriber", "replay", "books", "--reason", "lost", "--since", "gestern").returncode == Exit.USAGE


def test_a_rule_is_tried_from_this_machine(cli: Cli, listener: Listener) -> None:
    assert "ops" in cli.said("notify", "list")
    assert json.loads(cli.said("notify", "list", "--json"))[0]["on"] == ["activated"]
    cli.said("notify", "test", "ops")
    assert [one["title"] for one in listener.messages] == ["Tieline: a test"]
    refused(cli("notify", "test", "nobody"), Exit.REFUSED, "no rule")
    cli.more["OPS"] = "json://127.0.0.1:9/s3cret"
    done = cli("notify", "test", "ops")
    refused(done, Exit.REFUSED, "could not send")
    assert "s3cret" not in done.stderr


def test_a_worker_tells_subscribers_and_people_what_happens(cli: Cli, listener: Listener, database: sa.Engine) -> None:
    with cli.worker():
        assert "took com.tieline.test.ping.v1" in cli.said("subscriber", "test", "books")
        add_progress(database, add_contract(database, external_id="C-77"), "active")
        activated = "com.tieline.project.activated.v1"
        listener.wait(lambda: any(one["type"] == activated for one in listener.events) and len(listener.messages) > 0)
    # On the full minute a worker may find an objective broken and say so, too.
    told = [event for event in listener.events if event["type"] != "com.tieline.objective.broken.v1"]
    assert [event["type"] for event in told] == ["com.tieline.test.ping.v1", activated]
    assert told[1]["source"] == "urn:tieline:meridian"
    assert told[1]["data"]["contract"]["id"] == "C-77"
    assert listener.messages[0]["title"] == "Tieline: 1 contract billable, 100.00 USD"
    with database.connect() as conn:
        jobs = {row.job: row.outcome for row in conn.execute(sa.text("SELECT job, outcome FROM core.job_run"))}
    ours = {name: outcome for name, outcome in jobs.items() if name.startswith(("announce-", "forget-events"))}
    assert ours == dict.fromkeys(
        (
            "announce-overdue",
            "announce-fields",
            "announce-late-amendments",
            "announce-renewals",
            "announce-objectives",
            "forget-events",
        ),
        "ok",
    )
