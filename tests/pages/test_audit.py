"""The audit page: filters in the URL, paging, a row told whole, the chain's state, downloads that are audited."""

from collections.abc import Iterator
from datetime import timedelta

import orjson
import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from app.postgres.embedded import Endpoint
from sync_core.audit import audit
from sync_core.authority import Actor, person
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.reads import Reads
from sync_core.reads.audit import VERIFIED
from tests import audit_rows, rows
from tests.filled import filled
from tests.pages.stage import play, texts

ROWS = 300
EVE = person("eve@example.com", ["auditor"])
LIMITED = person("eve@example.com", ["auditor@GB01"])


@pytest.fixture(scope="module")
def audited(server: Endpoint) -> Iterator[sa.Engine]:
    """The application's engine on a database with ROWS audit rows of 40 contracts. Tests only add to it."""
    with filled(server, "seeded_40", lambda url: rows.seed(url, 40)) as urls:
        audit_rows.fill(urls.owner_libpq, ROWS, now=rows.NOW, contracts=40, every=timedelta(hours=1))
        engine = sa.create_engine(urls.app)
        yield engine
        engine.dispose()


def shown(engine: sa.Engine, viewer: Actor = EVE, /, **query: str) -> AppTest:
    clock = VirtualClock(rows.NOW)
    reads = Reads(engine, clock=clock, estate=rows.estate())
    page = play("audit", reads, query, actor=viewer, commands=Commands(engine, clock=clock, estate=rows.estate()))
    assert not page.exception
    return page


def verified(engine: sa.Engine, **told: object) -> None:
    value = {"whole": True, "rows": ROWS, "checkpoints": 2, "message": "", "row_id": None, **told}
    statement = sa.text("""
        INSERT INTO core.watermark (name, value, updated_at) VALUES (:name, :value, :now)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value
    """)
    with engine.begin() as conn:
        conn.execute(statement, {"name": VERIFIED, "value": orjson.dumps(value).decode(), "now": rows.NOW})


def test_an_empty_audit_says_so(database: sa.Engine) -> None:
    page = shown(database)
    assert "Nothing was done yet" in texts(page)
    assert "A worker verifies the whole chain once a day" in texts(page)


def test_rows_are_listed_newest_first_with_links_to_contracts(audited: sa.Engine) -> None:
    table = shown(audited).dataframe[0].value
    assert list(table["id"]) == list(range(ROWS, ROWS - 50, -1))
    assert table["contract"].dropna().str.startswith("/contract?id=").all()
    assert set(table[table["subject"] == "sign-in"]["entity"]) == {""}


@pytest.mark.parametrize(
    ("query", "column", "value"),
    [
        ({"actor": "ada.lovelace@meridian.example"}, "actor", {"ada.lovelace@meridian.example"}),
        ({"action": "approval.decide"}, "action", {"Approval: decide"}),
        ({"action": "exception."}, "action", {"Exception: assign", "Exception: comment", "Exception: decide"}),
        ({"contract": "C-7"}, "contract", None),
        ({"q": "sign-in"}, "subject", {"sign-in"}),
    ],
)
def test_the_url_filters(audited: sa.Engine, query: dict[str, str], column: str, value: set[str] | None) -> None:
    table = shown(audited, **query).dataframe[0].value
    assert len(table) > 0
    assert set(table[column].str.rpartition("#")[2]) == {"C-7"} if value is None else set(table[column]) == value


def test_a_period_is_of_whole_days(audited: sa.Engine) -> None:
    table = shown(audited, **{"from": "2026-11-21", "to": "2026-11-21"}).dataframe[0].value
    assert len(table) == 24
    assert {at.date().isoformat() for at in table["at"]} == {"2026-11-21"}


def test_what_the_url_makes_up_is_ignored(audited: sa.Engine) -> None:
    page = shown(audited, actor="'; drop", action="x.", **{"from": "yesterday", "to": "9999-99-99", "row": "1;2"})
    assert [element.value for element in page.error] == []
    assert len(page.dataframe[0].value) == 50
    assert "There is no such audit row" in texts(page)
    said = texts(page).replace("\\", "")
    assert "Not known here, so not filtered by: who “'; drop”; did what “x.”; from (utc) “yesterday”" in said


def test_a_filter_that_nothing_meets_can_be_cleared(audited: sa.Engine) -> None:
    page = shown(audited, q="no such words")
    assert "No audit row meets these filters" in texts(page)
    next(button for button in page.button if button.label == "Clear all filters").click().run()
    assert len(page.dataframe[0].value) == 50


def test_the_next_page_begins_where_this_one_ends(audited: sa.Engine) -> None:
    page = shown(audited)
    page.button(key="page_after").click().run()
    assert list(page.dataframe[0].value["id"]) == list(range(ROWS - 50, ROWS - 100, -1))


def test_a_ticked_row_is_told_whole(audited: sa.Engine) -> None:
    page = shown(audited, action="correction.apply")
    key = f"grid_audit_{page.session_state['tieline.grid.audit']}"
    number = str(page.dataframe[0].value["id"].iloc[1])
    page.session_state[key] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    page.run()
    assert page.query_params["row"] == number
    tables = "\n".join(table.value.to_string() for table in page.table).replace("\\", "")
    assert all(text in tables for text in ("PO number", "PO-7781", "NET30", "NET45"))
    assert "invoice frequency" not in tables
    assert {len(code.value) for code in page.code} >= {64}


def test_hostile_words_are_shown_as_they_are(database: sa.Engine) -> None:
    entry = audit.Entry(
        "exception.comment", "<b>*x*</b>", "$1 [a](b)", detail={"comment": "<script>", "after": "**y**"}
    )
    with database.begin() as conn:
        audit.append(conn, EVE, [entry], now=rows.NOW)
    told = texts(shown(database, row="1"))
    assert r"\<b\>\*x\*\</b\>" in told
    assert r"\$1 \[a\]\(b\)" in told


def test_a_limited_reach_sees_rows_of_its_entities_alone(audited: sa.Engine) -> None:
    assert set(shown(audited, LIMITED).dataframe[0].value["entity"]) == {"GB01"}
    assert "There is no such audit row" in texts(shown(audited, LIMITED, row="11"))
    assert "There is no such audit row" not in texts(shown(audited, row="11"))


def test_without_the_permission_nothing_is_shown(audited: sa.Engine) -> None:
    page = shown(audited, person("cfo@example.com", ["executive"]))
    assert "This needs the permission" in texts(page)
    assert len(page.dataframe) == 0


def test_the_chain_says_whole_broken_or_late(audited: sa.Engine) -> None:
    verified(audited)
    told = texts(shown(audited))
    assert f"**{ROWS} rows** verified 23 Nov 2026 06:00 UTC, from the first to the last; 2 signed checkpoints" in told
    verified(audited, whole=False, message="row 5 was changed", row_id=5)
    assert "**Row 5 was changed\\.** Found 23 Nov 2026 06:00 UTC." in texts(shown(audited))
