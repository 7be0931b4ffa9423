"""The API in the real web process: behind the same port as the dashboard, and what the audit keeps when it ends."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests.app.test_cli import TIELINE, environment
from tests.app.test_cli_clients import Cli
from tests.databases import DatabaseUrls
from tests.reads.handmade import add_contract
from tests.rows import ESTATE_TEXT

DEADLINE_S = 60


@pytest.fixture
def cli(tmp_path: Path, database_urls: DatabaseUrls) -> Cli:
    return Cli(tmp_path, database_urls, ESTATE_TEXT)


@contextmanager
def serving(part: str, home: Path, urls: DatabaseUrls) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """`tieline <part>` on a port of its own, once it answers."""
    port = _free_port()
    more = {"DATABASE_URL": urls.app_libpq, "TIELINE_ESTATE": str(home / "estate.toml"), "TIELINE_PORT": str(port)}
    running = subprocess.Popen([*TIELINE, part], env=environment(home, **more), stderr=subprocess.DEVNULL)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not _answers(client):
                assert running.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield running, client
        finally:
            running.kill()
            running.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/v1/openapi.json").status_code == 200
    except httpx.TransportError:
        return False


def signed_in(cli: Cli, client: httpx.Client) -> None:
    """As the documents say: a client by the command line, a token by HTTP."""
    made = json.loads(cli.said("client", "create", "erp-bridge", "--scope", "contracts:read", "--json"))
    basic = (made["client_id"], made["client_secret"])
    token = client.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=basic).json()
    client.headers["authorization"] = f"Bearer {token['access_token']}"


def actions(database: sa.Engine) -> list[str]:
    with database.connect() as conn:
        return list(conn.scalars(sa.text("SELECT action FROM core.audit WHERE actor = 'erp-bridge' ORDER BY id")))


def test_beside_the_dashboard_it_answers_first_and_writes_its_lists_when_it_is_stopped(
    cli: Cli, database: sa.Engine, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    add_contract(database, external_id="W-1")
    with serving("web", tmp_path, database_urls) as (running, client):
        signed_in(cli, client)
        assert client.get("/v1/contracts").json()["items"][0]["external_id"] == "W-1"
        for method, path, status in (("GET", "/v1/nothing", 404), ("DELETE", "/v1/contracts", 405)):
            answer = client.request(method, path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert client.get("/openapi.json").status_code == 401  # the dashboard's, which wants a session
        assert actions(database) == []
        running.send_signal(signal.SIGTERM)
        assert running.wait(DEADLINE_S) in (0, -signal.SIGTERM)
    assert actions(database) == ["api.list"]


def test_kill_9_loses_lists_of_the_minute_and_nothing_else(
    cli: Cli, database: sa.Engine, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    contract = add_contract(database, external_id="W-1")
    with serving("api", tmp_path, database_urls) as (running, client):
        signed_in(cli, client)
        assert client.get("/v1/contracts").is_success
        assert client.get(f"/v1/contracts/{contract}").is_success
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    assert "contract.read" in actions(database)
