"""`tieline renewals` as an operator types it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from app.cli.refusals import Exit
from tests.app.forked import tieline
from tests.databases import DatabaseUrls
from tests.policy.texts import TWO_ERPS
from tests.reads.handmade import add_contract


def test_renewals_are_listed_with_their_money(tmp_path: Path, database_urls: DatabaseUrls, database: sa.Engine) -> None:
    (tmp_path / "estate.toml").write_text(TWO_ERPS)
    due = datetime.now(UTC).date() + timedelta(days=20)
    for name, renewal in (("R-1", "automatic"), ("R-2", "declined")):
        add_contract(
            database, took=1, external_id=name, renewal=renewal, notice_by=due, renewal_due=due, renews_on=due,
            customer_name="[red]Harbour[/]",
        )  # fmt: skip
    late = datetime.now(UTC).date() - timedelta(days=3)
    add_contract(
        database, took=1, external_id="R-0", renewal="automatic", notice_by=late, renewal_due=late, renews_on=due
    )
    settings = {"DATABASE_URL": database_urls.app_libpq, "TIELINE_ESTATE": str(tmp_path / "estate.toml")}

    listed = tieline(tmp_path, "renewals", **settings)
    assert "[red]Harbour[/]" in listed.stdout
    assert "3 of 3; automatic 2 (200.00 USD), declined 1 (100.00 USD)" in listed.stderr
    assert f"{late}, passed" in listed.stdout
    every = json.loads(tieline(tmp_path, "renewals", "--json", **settings).stdout)
    assert [(one["external_id"], one["passed"]) for one in every] == [("R-1", False), ("R-2", False), ("R-0", True)]
    found = json.loads(tieline(tmp_path, "renewals", "--state", "declined", "--json", **settings).stdout)
    assert [(one["external_id"], one["renewal"], one["due_on"]) for one in found] == [
        ("R-2", "declined", due.isoformat())
    ]
    assert json.loads(tieline(tmp_path, "renewals", "--days", "5", "--json", **settings).stdout)[1:] == []
    odd = tieline(tmp_path, "renewals", "--state", "never", **settings)
    assert odd.returncode == Exit.USAGE
    assert "is none of manual, automatic, initiated, declined" in odd.stderr
