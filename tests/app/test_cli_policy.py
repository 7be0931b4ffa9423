"""`tieline policy` as an operator types it, with the file of the manual."""

import json
import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli.refusals import Exit
from tests.app.forked import tieline
from tests.databases import DatabaseUrls
from tests.policy.texts import TWO_ERPS
from tests.sows import arrive, cloud_event, milestone_terms, signed

MANUAL = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    policy = re.findall(r"```toml\n(.*?)```", MANUAL, re.S)[0]
    (tmp_path / "policy.toml").write_text(policy)
    (tmp_path / "tie.toml").write_text("".join(f"[[route]]\nname = '{n}'\nerp = 'books'\n" for n in ("one", "two")))
    (tmp_path / "estate.toml").write_text(TWO_ERPS)
    return tmp_path


def run(files: Path, urls: DatabaseUrls, *arguments: str, policy: str = "") -> CompletedProcess[str]:
    estate = str(files / "estate.toml")
    return tieline(
        files, "policy", *arguments, DATABASE_URL=urls.app_libpq, TIELINE_ESTATE=estate, TIELINE_POLICY=policy
    )


async def test_a_policy_is_checked_compared_and_explained(
    files: Path, database_urls: DatabaseUrls, async_database: AsyncEngine, database: sa.Engine
) -> None:
    new = str(files / "policy.toml")
    async with async_database.begin() as conn:
        await arrive(conn, cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(service_line="tax"))))
        await arrive(conn, cloud_event("e2", "signed.v1", signed("C-2")))

    checked = run(files, database_urls, "check", new)
    counted = "route 2, tax 1, bill_calendar 1, approval 1, owner 1, mandatory 1, clause 1"
    assert f"the policy is right ({counted})" in checked.stdout
    tie = run(files, database_urls, "check", str(files / "tie.toml"))
    assert tie.returncode == Exit.SETTINGS
    assert "'one' and 'two' are equally specific" in tie.stderr

    compared = run(files, database_urls, "diff", new, "--since", "2026-01-01")
    assert "1 of 2 contracts signed since 2026-01-01 would be decided on differently" in compared.stdout
    told = json.loads(run(files, database_urls, "diff", new, "--since", "2026-01-01", "--json").stdout)
    assert [(one["external_id"], one["changes"]) for one in told["differences"]] == [
        ("C-1", [{"effect": "route", "before": "cloud", "after": "books"}]),
    ]  # fmt: skip
    assert told["after"] in checked.stdout

    explained = run(files, database_urls, "explain", "C-1", policy=new)
    assert "route: books (by “Tax work”)" in explained.stdout
    told = json.loads(run(files, database_urls, "explain", "C-1", "--json", policy=new).stdout)
    [route] = [one for one in told if one["table"] == "route"]
    assert {one["name"]: one["came"] for one in route["considered"]} == {
        "Tax work": "decides", "Large dollars": "does not fit", "entity US01": "lost", "entity GB01": "does not fit",
    }  # fmt: skip
    assert "route: cloud (by “entity US01”)" in run(files, database_urls, "explain", "C-1").stdout
    with database.connect() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM core.audit")) == 0, "looking writes nothing"


def test_a_policy_that_is_not_there_is_named(files: Path, database_urls: DatabaseUrls) -> None:
    done = run(files, database_urls, "check", policy=str(files / "gone.toml"))
    assert done.returncode == Exit.SETTINGS
    assert "TIELINE_POLICY" in done.stderr
