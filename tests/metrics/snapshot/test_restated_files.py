"""A restated workbook and board pack, opened: which contract moved what, from what to what, since when and why."""

import io
import warnings
from datetime import timedelta
from typing import Any

import openpyxl
import pypdf
import pytest
import sqlalchemy as sa

from metrics.catalog import kpis
from metrics.snapshot.package import BOARD_PACK, WORKBOOK, Package
from sync_core.estate.estate import load
from tests import rows
from tests.metrics.snapshot.firm import Firm, reads, told
from tests.metrics.snapshot.test_restated_headlines import _LONGER, came_late
from tests.metrics.snapshot.test_restated_numbers import state

WHY = "the year before go-live, from the time sheets"


def sheet(made: Package, title: str) -> list[dict[str, Any]]:
    """The rows of a sheet of the workbook, by its head."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not know sparklines
        book = openpyxl.load_workbook(io.BytesIO(made.files[WORKBOOK]))
    head, *lines = book[title].iter_rows(values_only=True)
    return [dict(zip(head, line, strict=True)) for line in lines if any(cell is not None for cell in line)]


def words_of(made: Package) -> str:
    """All text of the board pack, without its line breaks."""
    pages = pypdf.PdfReader(io.BytesIO(made.files[BOARD_PACK])).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def named(one: Firm, ids: set[int]) -> set[str]:
    with one.engine.connect() as conn:
        sql = "SELECT external_id FROM core.contract WHERE contract_id = ANY(CAST(:ids AS bigint[]))"
        return set(conn.scalars(sa.text(sql), {"ids": list(ids)}))


def test_the_first_report_has_an_empty_restatement_sheet_and_says_so(made: Package) -> None:
    assert sheet(made, "Restated measures") == sheet(made, "What moved them") == []
    assert "This is the first report of the week" in words_of(made)


def test_a_contract_that_moved_a_number_stands_in_workbook_and_board_pack_with_why(one: Firm) -> None:
    week = one.week - timedelta(weeks=1)  # all but the youngest of its contracts were billable by then
    first = one.made(week=week)
    ids = came_late(one, _LONGER, weeks_ago=1, many=3)
    contracts = named(one, ids)
    assert len(contracts) == 3
    again = one.made(week=week)
    assert again.manifest["restated_since"] == first.manifest["as_of"]

    [cycle] = [row for row in sheet(again, "Restated measures") if row["KPI"] == "cycle-time"]
    assert cycle["Moved by"] == "contracts"
    assert cycle["As first made"] < cycle["As known now"], "each of the three took nine days longer"
    [said] = [one for one in again.manifest["restated"] if one["kpi"] == "cycle-time"]
    assert (cycle["As first made"], cycle["As known now"]) == pytest.approx(
        (float(said["before"]), float(said["after"]))
    )

    listed = sheet(again, "What moved them")
    assert {row["Contract"] for row in listed} == contracts
    assert {row["Because"] for row in listed} == {"known late"}
    later = [row for row in listed if row["Fact"] == "contract" and row["Field"] == "active_at"]
    assert {row["Contract"] for row in later} == contracts
    for row in later:
        assert row["Was"] < row["Is"], "moments as texts, the earlier one first"
        assert row["Known since"] > rows.NOW.replace(tzinfo=None)
        assert "contract.cycle_work" in row["Moved"]

    text = words_of(again)
    assert "What came to be known late of 3 contracts moved" in text
    assert kpis()["cycle-time"].definition.title in text
    assert {name for name in contracts if name in text} == contracts
    assert "active at: " in text


def test_a_number_that_was_stated_otherwise_stands_there_with_who_said_so_and_why(one: Firm) -> None:
    state(one, "assumption", "cost_of_setup_hour", "10")
    one.later(timedelta(hours=1))
    one.made()
    one.later(timedelta(hours=5))
    with one.engine.begin() as conn:
        conn.execute(sa.text("""
            INSERT INTO metrics.stated_value (kind, name, value, reason, recorded_at, recorded_by, batch)
            VALUES ('baseline', 'setup_hours', 1000, :why, :now, 'fay@example.com', 'b')"""),
            {"why": WHY, "now": one.clock.now()})  # fmt: skip
    again = one.made()
    [roi] = sheet(again, "Restated measures")
    assert (roi["KPI"], roi["Moved by"]) == ("roi", "stated numbers")
    [number] = sheet(again, "Numbers that changed")
    assert (number["Name"], number["Was"], number["Is"]) == ("setup_hours", None, 1000)
    assert (number["Stated by"], number["Why"]) == ("fay@example.com", WHY)
    text = words_of(again)
    assert "1 baseline stated since moved Saved against the baseline." in text
    assert WHY in text
    assert "fay@example.com" in text


# ---- the rules by which contracts were decided -----------------------------------------------------------------

LARGE_TO_LEGACY = """
[[route]]
name = "Large dollars"
currency = "USD"
from_value = 500000
erp = "legacy"
"""
_ESTATE = sa.text("INSERT INTO core.estate_version (digest, body, activated_at) VALUES ('e', :body, :now)")
_POLICY = sa.text("""
    INSERT INTO core.policy (version, body, estate, activated_at, activated_by)
    VALUES (:version, :body, 'e', :now, 'tieline')
""")


def test_manifest_workbook_pack_and_event_name_the_policy_in_force(one: Firm) -> None:
    """One policy after another comes into force, as workers note it, and they go on under it."""
    with one.engine.begin() as conn:
        conn.execute(_ESTATE, {"body": rows.ESTATE_TEXT, "now": one.clock.now()})
    seen = set()
    for policy in ("", LARGE_TO_LEGACY):
        one.later(timedelta(minutes=1))
        one.estate = load(rows.ESTATE_TEXT, policy or None)
        with one.engine.begin() as conn:
            conn.execute(_POLICY, {"version": one.estate.rules_version, "body": policy, "now": one.clock.now()})
        made = one.made()
        in_force = reads(one).policies().in_force
        assert in_force is not None
        seen.add(in_force.version)
        assert made.manifest["policy_version"] == in_force.version
        assert told(one)[-1]["data"]["policy_version"] == in_force.version
        assert f"Money in USD. Rules {in_force.version}." in summary(made)
        assert in_force.version in words_of(made)
    assert len(seen) == 2
    assert len(told(one)) == 2


def summary(made: Package) -> list[object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(io.BytesIO(made.files[WORKBOOK]))
    return [row[0] for row in book["Summary"].iter_rows(values_only=True)]
