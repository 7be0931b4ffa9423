"""`tieline schemas` as an operator types it, from a version that nobody knows to one that is registered."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli.refusals import Exit
from sync_core.events import PREFIX
from tests.app.forked import tieline
from tests.databases import DatabaseUrls
from tests.intake.deliveries import deliver, event, signing
from tests.reads.handmade import insert
from tests.rows import NOW
from tests.sows import ESTATE_TOML, SOURCE, signed
from tests.versions import V3, as_v2, as_v3, v3_schema

V1, V2 = f"{PREFIX}signed.v1", f"{PREFIX}signed.v2"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "estate.toml").write_text(ESTATE_TOML)
    (tmp_path / "v3.json").write_text(v3_schema())
    (tmp_path / "loose.json").write_text('{"type": "object"}')
    (tmp_path / "broken.json").write_text('{"type": 7}')
    return tmp_path


def run(files: Path, urls: DatabaseUrls, *arguments: str) -> CompletedProcess[str]:
    return tieline(files, "schemas", *arguments, DATABASE_URL=urls.app_libpq, TIELINE_ESTATE=str(files / "estate.toml"))


async def test_a_version_is_checked_registered_and_withdrawn(
    files: Path, database_urls: DatabaseUrls, async_database: AsyncEngine, database: sa.Engine
) -> None:
    second = event("b", "signed.v2", as_v2(signed("C-2")))
    await deliver(async_database, signing("C-1"), second, event("c", "signed.v3", as_v3(signed("C-3"))))
    insert(database, "schema_drift", source=SOURCE, type=V1, path="terms.risk", shape="string", events=7,
           first_seen_at=NOW, last_seen_at=NOW)  # fmt: skip

    listed = run(files, database_urls, "list")
    assert V2 in listed.stdout
    assert f"unknown: {V3}, 1 events in quarantine, 1 of them signatures" in listed.stderr

    fits = run(files, database_urls, "check", "--type", V1)
    assert (fits.returncode, "1 of 1 stored events" in fits.stdout) == (Exit.OK, True)
    breaks = run(files, database_urls, "check", str(files / "v3.json"), "--type", V2)
    assert breaks.returncode == Exit.REFUSED
    assert "0 of 1 stored events" in breaks.stdout
    told = json.loads(run(files, database_urls, "check", str(files / "v3.json"), "--type", V2, "--json").stdout)
    assert (told["seen"], told["fitting"]) == (1, 0)
    assert "terms.total" in {one["path"] for one in told["misfits"]}
    assert {"path": "terms.value", "words": "the field is gone", "breaking": True} in told["differences"]
    wrong = run(files, database_urls, "check", str(files / "broken.json"), "--type", V2)
    assert "is no JSON Schema, at type" in wrong.stderr

    renames = ("--rename", "terms.total=terms.value", "--rename", "terms.lines[].sum=terms.lines[].amount")
    common = ("register", str(files / "v3.json"), "--type", V3, "--reads-as", V2, "--reason", "the CLM was upgraded")
    ahead = run(files, database_urls, *common, *renames, "--dry-run")
    assert "1 events wait for it; of 1 looked at 1 would be read" in ahead.stdout
    refused = run(files, database_urls, *common)
    assert "none of the 1 events" in refused.stderr
    done = run(files, database_urls, *common, *renames)
    assert done.stdout.strip().endswith(": 1 events released")
    number = done.stdout.split()[1].rstrip(":")
    assert V3 in run(files, database_urls, "registrations").stdout
    assert "withdrawn" in run(files, database_urls, "withdraw", number, "--reason", "they went back").stdout

    shown = json.loads(run(files, database_urls, "fields", "--json").stdout)
    assert [one["path"] for one in shown] == ["terms.risk"]
    known = run(files, database_urls, "acknowledge", str(shown[0]["drift_id"]), "--reason", "known to us")
    assert known.returncode == Exit.OK, known.stderr
    assert json.loads(run(files, database_urls, "show", V2).stdout)["$id"] == f"urn:{V2}"
