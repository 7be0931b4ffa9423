"""`tieline snapshot` and `tieline kpi` as a person or a script uses them: real processes on a real database."""

import json
from pathlib import Path

import pytest

from app.cli.refusals import Exit
from metrics.snapshot.package import MANIFEST
from metrics.weeks import last_ended, week_name
from sync_core.clock import SystemClock
from tests import rows
from tests.app.test_cli import refused
from tests.app.test_cli_clients import Cli
from tests.databases import DatabaseUrls

WEEK = week_name(last_ended(SystemClock().now(), "Europe/London"))


@pytest.fixture
def cli(tmp_path: Path, database_urls: DatabaseUrls) -> Cli:
    rows.seed(database_urls.owner, 200, now=SystemClock().now())
    return Cli(tmp_path, database_urls, rows.ESTATE_TEXT)


def test_a_week_is_written_the_same_again_and_checked(cli: Cli, tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    said = cli.said("snapshot", "--week", WEEK, "--out", str(first))
    assert f"of {WEEK} in {first}" in said
    as_of = json.loads((first / MANIFEST).read_bytes())["as_of"]
    cli.said("snapshot", "--week", WEEK, "--as-of", as_of, "--out", str(again))
    assert {p.name: p.read_bytes() for p in first.iterdir()} == {p.name: p.read_bytes() for p in again.iterdir()}
    (tmp_path / "key.pem").write_text(cli.said("snapshot", "key"))
    whole = cli.said("snapshot", "verify", str(first), "--key", str(tmp_path / "key.pem"))
    assert whole.startswith(f"The snapshot of {WEEK} as of {as_of}")
    (again / "kpis.csv").write_text("x")
    refused(cli("snapshot", "verify", str(again)), Exit.EVIDENCE_BROKEN, "kpis.csv is not as it was made")


def test_what_was_made_is_listed_and_compared(cli: Cli, tmp_path: Path) -> None:
    folder, other = tmp_path / "first", tmp_path / "other"
    assert cli("snapshot").returncode == Exit.USAGE
    cli.said("snapshot", "--week", WEEK, "--out", str(folder))
    refused(cli("snapshot", "--out", str(folder)), Exit.REFUSED, "not empty")
    refused(cli("snapshot", "--out", str(other), "--as-of", "2001-01-01"), Exit.USAGE, "had not begun")
    listed = json.loads(cli.said("snapshot", "list", "--json"))
    assert [(row["week"], row["state"]) for row in listed] == [(WEEK, "made")]
    assert listed[0]["location"] == str(folder)
    refused(cli("snapshot", "diff", WEEK, "2020-W01"), Exit.REFUSED, "no snapshot was made of 2020-W01;")
    same = json.loads(cli.said("snapshot", "diff", WEEK, WEEK, "--json"))
    assert {row["change"] for row in same["kpis"] if not isinstance(row["change"], dict)} <= {0, None}
    said = cli.said("snapshot", "diff", WEEK, WEEK)
    assert "Contract-to-project cycle time" in said
    assert f"board pack of {WEEK}" in said
    assert f"(13 weeks to {WEEK})" in said


def test_a_kpi_is_shown_and_printed_as_the_api_answers_it(cli: Cli, tmp_path: Path) -> None:
    assert "cycle-time" in cli("kpi").stdout
    assert "nothing was measured yet" in cli("kpi", "cycle-time").stdout
    cli("snapshot", "--out", str(tmp_path / "measured"))
    one = json.loads(cli("kpi", "cycle-time", "--by", "week", "--entity", "GB01", "--entity", "US01", "--json").stdout)
    assert len(one["parts"]) > 5
    assert one["n"] == sum(part["n"] for part in one["parts"]) > 20
    assert {part["unit"] for part in one["figures"]} >= {"working_hours", "share"}
    shown = cli("kpi", "cycle-time", "--from", WEEK, "--to", WEEK, "--by", "legal_entity").stdout
    assert f"{WEEK} to {WEEK}" in shown
    assert "DE01" in shown
    refused(cli("kpi", "profit"), Exit.USAGE, "is no KPI")
    for given, words in (
        (("--by", "mood"), "is none of week"), (("--from", "2026-11-18"), "no Monday"),
        (("--as-of", "soon"), "is no moment"), (("--as-of", "2150-01-01T00:00Z"), "not in the future"),
        (("--from", "2150-W10"), "has not begun yet"), (("--from", "1970-W01"), "not within the years 1971 to 9998"),
        (("--entity", "XX"), "there are DE01, GB01, US01"), (("--billing", "foo"), "there are milestones, time_and"),
        (("--service-line", "foo"), "service_line: 'foo' is none that is known; there are"),
    ):  # fmt: skip
        refused(cli("kpi", "cycle-time", *given, *(("--to", "2150-W12") if "2150-W10" in given else ())), Exit.USAGE,
                words)  # fmt: skip
    assert "a state as of" in cli("kpi", "stuck-money").stdout
