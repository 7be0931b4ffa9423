"""`tieline client`, `tieline session` and `tieline link` as an operator types them: real processes."""

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from app.cli.actor import operator_of_this_machine
from app.cli.refusals import Exit
from app.identity.api_tokens import ApiTokens
from app.identity.sessions import Person, Rules, Sessions, start_session
from sync_core.authority import Permission
from sync_core.clock import SystemClock
from tests.app.forked import tieline
from tests.app.test_cli import refused
from tests.databases import DatabaseUrls
from tests.rows import ESTATE_TEXT

IDENTITY = """
[identity]
issuer = "https://login.example.com"
client_id = "tieline"

[[identity.grant]]
value = "everyone"
role = "auditor"
"""


class Cli:
    def __init__(self, home: Path, urls: DatabaseUrls, estate: str) -> None:
        self._home, self._url = home, urls.app_libpq
        self._estate = home / "estate.toml"
        self._estate.write_text(estate)

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return tieline(self._home, *arguments, DATABASE_URL=self._url, TIELINE_ESTATE=str(self._estate))

    def said(self, *arguments: str) -> str:
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def cli(tmp_path: Path, database_urls: DatabaseUrls) -> Cli:
    return Cli(tmp_path, database_urls, ESTATE_TEXT)


def audited(database: sa.Engine) -> list[tuple[str, ...]]:
    with database.connect() as conn:
        rows = conn.execute(sa.text("SELECT actor, action, subject, reason FROM core.audit ORDER BY id"))
        return [tuple(row) for row in rows]


def test_a_client_is_made_rotated_revoked_and_disabled(cli: Cli, database: sa.Engine) -> None:
    tokens = ApiTokens(database, SystemClock())
    scopes = ("--scope", "contracts:read", "--scope", "holds:write")
    first = json.loads(cli.said("client", "create", "erp-bridge", *scopes, "--entity", "GB01", "--json"))
    actor = tokens.actor_of(tokens.issue("erp-bridge", first["client_secret"], "").token)
    assert actor.entities(Permission.HOLDS_WRITE) == frozenset({"GB01"})
    shown = cli.said("client", "rotate", "erp-bridge")
    found = re.search(r"client_secret  (tls_\S+)   \(number (\d+)\)", shown)
    assert found is not None
    cli.said("client", "revoke", "erp-bridge", str(first["secret_id"]), "--reason", "rotated out")
    assert tokens.issue("erp-bridge", found[1], "contracts:read").scopes == ("contracts:read",)
    listed = json.loads(cli.said("client", "list", "--json"))
    assert [secret["secret_id"] for secret in listed[0]["secrets"]] == [int(found[2])]
    assert "erp-bridge" in cli.said("client", "list")
    cli.said("client", "disable", "erp-bridge", "--reason", "not used any more")
    name, subject = operator_of_this_machine().name, "client erp-bridge"
    assert audited(database) == [
        (name, "client.create", subject, ""),
        (name, "client.rotate", subject, ""),
        (name, "client.revoke", subject, "rotated out"),
        (name, "client.disable", subject, "not used any more"),
    ]


def test_what_cannot_be_done_is_one_sentence_and_its_exit_code(cli: Cli) -> None:
    refused(cli("client", "rotate", "nobody"), Exit.REFUSED, "there is no client")
    refused(cli("client", "create", "erp-bridge", "--scope", "kpi:read", "--entity", "ZZ99"), Exit.USAGE, "ZZ99")
    done = cli("client", "create", "erp-bridge", "--scope", "everything")
    assert (done.returncode, "contracts:read" in done.stderr) == (Exit.USAGE, True)


def test_a_person_is_signed_out_everywhere(cli: Cli, database: sa.Engine) -> None:
    clock = SystemClock()
    with database.begin() as conn:
        who = Person("maya@example.com", ("operator:tax@GB01",))
        secret = start_session(conn, who, now=clock.now(), rules=Rules(), how="test")
    listed = json.loads(cli.said("session", "list", "--json"))
    assert [(one["email"], one["grants"]) for one in listed] == [("maya@example.com", ["operator:tax@GB01"])]
    assert "1 sessions" in cli.said("session", "end", "Maya@example.com", "--reason", "lost laptop")
    assert Sessions(database, clock).find(secret) is None


def test_a_link_is_for_whom_and_as_what_it_was_printed(cli: Cli, database: sa.Engine) -> None:
    link = cli.said("link", "--as", "operator:tax@GB01", "--as", "auditor", "--name", "Maya@Meridian.example")
    assert httpx.URL(link.strip()).params["t"]
    plain = cli.said("link")
    assert "/enter?t=" in plain
    with database.connect() as conn:
        rows = conn.execute(sa.text("SELECT email, grants FROM core.login_link ORDER BY email")).all()
    assert [(row.email, row.grants) for row in rows] == [
        ("maya@meridian.example", ["operator:tax@GB01", "auditor"]),
        ("operator@localhost", ["administrator", "operator", "approver", "auditor", "executive"]),
    ]
    for wrong in (("--as", "admin"), ("--as", "auditor@ZZ99"), ("--name", "a,b")):
        assert cli("link", *wrong).returncode == Exit.USAGE


def test_no_link_is_printed_where_people_sign_in_at_a_provider(tmp_path: Path, database_urls: DatabaseUrls) -> None:
    cli = Cli(tmp_path, database_urls, ESTATE_TEXT + IDENTITY)
    refused(cli("link"), Exit.NO_LINKS, "https://login.example.com")
    for command in ("web", "up"):
        refused(cli(command), Exit.SETTINGS, "TIELINE_PUBLIC_URL")
