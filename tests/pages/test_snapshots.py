"""The snapshots page: files to take, history, two weeks compared, restatements, having one made."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from app.postgres.embedded import Endpoint
from metrics.catalog import kpis
from metrics.snapshot import making
from pages.parts.snapshot import snapshot as one_snapshot
from pages.parts.snapshot import words as told
from sync_core.authority import Actor, Forbidden, person
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.reads import Reads
from sync_core.reads.snapshots import KpiChange, SnapshotDiff, SnapshotSeal
from tests import rows
from tests.commands.people import ADMINISTRATOR, audited
from tests.databases import DatabaseUrls
from tests.filled import filled
from tests.metrics.snapshot.firm import Firm, late_events
from tests.metrics.support import caught_up
from tests.pages.stage import CFO, play, texts

BRITISH = person("uk@example.com", ["executive@GB01"])
SEVEN = timedelta(days=7)


@pytest.fixture(scope="module")
def firm(server: Endpoint) -> Iterator[Firm]:
    """Two weeks with a snapshot, the newer one with a second that restates it: numbers 1, 2, 3."""
    with filled(server, "seeded_300", lambda url: rows.seed(url, 300)) as urls:
        engine = sa.create_engine(urls.app)
        one = Firm(engine, VirtualClock(rows.NOW), rows.estate())
        caught_up(engine, one.clock, one.estate)
        for week in (one.week - SEVEN, one.week):
            one.ask(week=week, scheduled=True)
            assert one.maker.make_next() is not None
        one.later(timedelta(hours=1))
        late_events(one, 300)
        caught_up(engine, one.clock, one.estate)
        one.ask()
        assert one.maker.make_next() is not None
        yield one
        engine.dispose()


@pytest.fixture
def empty(database: sa.Engine) -> Firm:
    return Firm(database, VirtualClock(rows.NOW), rows.estate())


def shown(one: Firm, viewer: Actor = CFO, /, **query: str) -> AppTest:
    reads = Reads(one.engine, clock=one.clock, estate=one.estate)
    desk = Commands(one.engine, clock=one.clock, estate=one.estate)
    page = play("snapshots", reads, query, actor=viewer, commands=desk)
    assert not page.exception
    return page


def table(page: AppTest, column: str) -> pd.DataFrame:
    return next(found.value for found in page.table if column in found.value.columns)


def labels(page: AppTest) -> list[str]:
    return [one.proto.label for one in page.get("download_button")]


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception


def test_the_newest_week_is_shown_with_its_files(firm: Firm) -> None:
    page = shown(firm)
    assert not page.error
    assert "**2026-W47** is the newest, as of 23 Nov 2026 07:00 UTC. 1 target does not have it yet." in texts(page)
    assert [label.partition(",")[0] for label in labels(page)[:3]] == ["Board pack", "Workbook", "Manifest"]
    assert [label.partition(",")[0] for label in labels(page)[3:]] == ["CSV", "Parquet"]
    assert "Not yet, 0 tries" in texts(page).replace("\\", "")
    assert list(page.dataframe[0].value["id"]) == [3, 2, 1]
    assert list(page.dataframe[0].value["by"]) == ["tieline", "The schedule", "The schedule"]


def test_a_week_that_was_restated_says_which_measures_and_by_how_many_contracts(firm: Firm) -> None:
    page = shown(firm)
    assert "Held against snapshot 2, as of 23 Nov 2026 06:00 UTC" in texts(page).replace("\\", "")
    restated = table(page, "First").set_index("Measure")
    assert len(restated) > 1
    assert set(restated["Moved by"]) == {"contracts"}
    assert "Nothing was restated" in texts(shown(firm, snapshot="2"))


def test_two_weeks_are_compared_by_value_with_what_is_better(firm: Firm) -> None:
    page = shown(firm, view="compare")
    diff = table(page, "Definition").set_index("Measure")
    assert list(diff.columns) == ["2026-W46", "2026-W47", "Change", "Board pack of 2026-W47", "Cases", "Definition"]
    assert set(diff["Definition"]) == {f"Version {number}" for number in range(1, 5)}
    disputes = diff.loc["Billing dispute rate"].str.replace("\\", "")
    assert disputes["2026-W46"].endswith(", 13 weeks to 2026-W46")
    assert disputes["2026-W47"].endswith(", 13 weeks to 2026-W47")
    in_pack = diff["Board pack of 2026-W47"].str.replace("\\", "")
    assert in_pack[r"Auto\-provisioned contracts"].endswith(" against 2026-W46")
    assert "snapshot 1" in texts(page)
    turned = table(shown(firm, view="compare", week="2026-W47", other="2026-W46"), "Definition")
    assert list(turned.columns)[1:3] == ["2026-W47", "2026-W46"]
    assert "Not known here" in texts(shown(firm, view="compare", week="2020-W01"))


def test_a_changed_definition_is_said_before_the_numbers(firm: Firm) -> None:
    with firm.engine.begin() as conn:
        conn.execute(sa.text("""
            UPDATE metrics.snapshot SET headlines = jsonb_set(headlines, '{0,version}', '9') WHERE snapshot_id = 1
        """))  # fmt: skip
    page = shown(firm, view="compare")
    assert "1 definition changed between the two" in page.warning[0].value
    now = kpis()["amendment-lag"].definition.version  # the first headline
    assert f":orange-badge[:material/warning: Changed, 9 to {now}]" in set(table(page, "Definition")["Definition"])
    with firm.engine.begin() as conn:
        conn.execute(sa.text("""
            UPDATE metrics.snapshot SET headlines = jsonb_set(headlines, '{0,version}', '1') WHERE snapshot_id = 1
        """))  # fmt: skip


def test_a_file_that_is_taken_is_the_one_that_was_made_and_is_audited(firm: Firm) -> None:
    desk = Commands(firm.engine, clock=firm.clock, estate=firm.estate)
    with firm.engine.connect() as conn:
        held = making.files_of(conn, 2)
    assert one_snapshot._body(desk, CFO, 2, "board-pack.pdf") == held["board-pack.pdf"]
    last = audited(firm.engine)[-1]
    assert (last["action"], last["actor"], last["subject"]) == ("snapshot.read", "cfo@example.com", "snapshot 2")
    with pytest.raises(Forbidden, match="whole group"):
        one_snapshot._body(desk, BRITISH, 2, "board-pack.pdf")


def test_the_cfo_may_download_and_press_nothing_else(firm: Firm) -> None:
    page = shown(firm)
    assert len(labels(page)) == 5
    assert {button.label for button in page.button} <= {"Previous", "Next"}
    assert "Make one now…" in {button.label for button in shown(firm, ADMINISTRATOR).button}


def test_a_limited_reach_is_told_where_its_part_is(firm: Firm) -> None:
    page = shown(firm, BRITISH)
    assert "your reach is GB01" in texts(page)
    assert not page.dataframe
    assert not labels(page)


def test_without_the_permission_nothing_is_shown(firm: Firm) -> None:
    page = shown(firm, Actor("nobody", scopes={}))
    assert "This needs the permission" in texts(page)
    assert not page.dataframe


def test_what_the_url_makes_up_is_said(firm: Firm) -> None:
    for made_up in ("99", "1; drop", "9" * 30):
        page = shown(firm, snapshot=made_up)
        assert "There is no such snapshot" in texts(page)
        assert len(page.dataframe) == 1


def test_one_is_asked_for_watched_made_and_brought(empty: Firm, database_urls: DatabaseUrls) -> None:
    rows.seed(database_urls.owner, 60)
    caught_up(empty.engine, empty.clock, empty.estate)
    page = shown(empty, ADMINISTRATOR)
    press(page, "Make one now…")
    assert page.selectbox[0].value == empty.week
    press(page, "Make the snapshot")
    assert "Snapshot 1 of 2026-W47 was asked for" in page.success[0].value.replace("\\", "")
    assert "It waits for a worker" in page.get("progress")[0].proto.text
    assert [row["action"] for row in audited(empty.engine)] == ["snapshot.make"]
    assert empty.maker.make_next() is not None
    page.run()
    assert "Made; brought to 0 of 1 targets" in page.get("progress")[0].proto.text
    assert labels(page)


def test_a_snapshot_that_failed_says_why_in_its_own_words(empty: Firm) -> None:
    empty.ask()
    with empty.engine.begin() as conn:  # what was stored before it was checked at the door
        conn.execute(sa.text("UPDATE metrics.snapshot SET wanted_as_of = :at"), {"at": rows.NOW - timedelta(days=2)})
    empty.maker.make_next()
    page = shown(empty, snapshot="1")
    assert "was not made" in texts(page)
    assert "nothing was measured yet" in page.warning[0].value
    assert page.dataframe[0].value["state"].iloc[0] == ["Failed"]


def test_a_new_installation_says_so(empty: Firm) -> None:
    page = shown(empty)
    assert "No snapshot yet" in texts(page)
    assert "No snapshot was made yet" in texts(page)
    assert "One week alone cannot be compared" in texts(shown(empty, view="compare"))


def test_a_card_that_fails_keeps_its_failure(
    empty: Firm, database_urls: DatabaseUrls
) -> None:  # fmt: skip
    rows.seed(database_urls.owner, 30)
    caught_up(empty.engine, empty.clock, empty.estate)
    empty.ask()
    empty.maker.make_next()
    owner = sa.create_engine(database_urls.owner)
    with owner.begin() as conn:
        conn.execute(sa.text("UPDATE metrics.snapshot SET restated_since = as_of - interval '1 h'"))
        conn.execute(sa.text("""
            INSERT INTO metrics.snapshot (week, asked_at, asked_by, state, as_of, made_at, restated_since, manifest,
                                          headlines)
            SELECT week, asked_at - interval '1 h', asked_by, state, as_of - interval '1 h', made_at, NULL, manifest,
                   '[{"slug": 1}]' FROM metrics.snapshot
        """))  # fmt: skip
    owner.dispose()
    page = shown(empty, snapshot="1")
    assert [error.value.partition(" Incident")[0] for error in page.error] == ["Restated could not be drawn."]
    assert "### Signature" in texts(page)
    assert len(page.dataframe) == 1


def change(value: str | None, other: str | None, better: str = "lower", n: int = 30) -> KpiChange:
    first, second = (None if one is None else Decimal(one) for one in (value, other))
    moved = None if first is None or second is None else second - first
    return KpiChange("cycle-time", "Cycle time", "working_hours", better, first, second, moved, n, n, 1, 1)


def test_changes_are_told_with_their_direction() -> None:
    assert told.moved(change("2", "3"), "USD") == ":red-badge[+1.0 h worse]"
    assert told.moved(change("3", "2"), "USD") == ":green-badge[−1.0 h better]"
    assert told.moved(change("3", "2", "neither"), "USD").startswith("−1")
    assert told.moved(change(None, "2"), "USD") == "–"
    assert told.values(change(None, None, n=7), "USD") == ("n = 7", "n = 7")
    near = replace(change("2", "3"), of="4 weeks", other_of="4 weeks", overlap=True, previous=Decimal(4))
    assert told.moved(near, "USD") == r"\+1\.0 h, windows overlap"
    monday = rows.NOW.date()
    found = SnapshotDiff(monday - timedelta(days=7), monday, 1, 2, rows.NOW, rows.NOW, "USD", (near,))
    assert told.windows(near, found) == ("2.0 h, 4 weeks to 2026-W47", "3.0 h, 4 weeks to 2026-W48")
    assert told.windows(replace(near, of="week", other_of="week"), found) == ("2.0 h", "3.0 h")
    assert told.in_the_board_pack(near, found) == ":green-badge[−1.0 h better] against 4 weeks to 2026-W44"


def test_what_a_release_measured_anew_is_told_apart_from_late_news() -> None:
    seal = SnapshotSeal("key", "seal", "UTC", "USD", 1, 1, 1, 0, complete=True, anew=31, anew_by="1.0",
                        anew_why="release", redefined=(("Cycle time", 1, 2),))  # fmt: skip
    anew, redefined = told.otherwise(seal)
    assert anew == ("All facts were measured anew by release 1.0 meanwhile: 31 contracts of which nothing came to be "
                    "known read otherwise because of that alone, and are told apart.")  # fmt: skip
    assert redefined.startswith("Defined otherwise since: Cycle time (definition version 2, before 1). ")
    [by_setting, _] = told.otherwise(replace(seal, anew_why="settings", anew_complete=False))
    assert "release" not in by_setting
    assert "at least 31 contracts" in by_setting
    assert told.otherwise(replace(seal, anew=None, redefined=())) == []
    one = replace(change("2", "3"), moved_by=("contracts", "a new release"), other_version=2)
    assert told.moved_by(one) == "contracts and a new release, definition 1 to 2"
    assert told.moved_by(change("2", "3")) == "–"


def test_targets_and_tables_are_told_in_words() -> None:
    assert told.table("rows-cycle-time") == "Rows of Cycle time"
    assert told.week(rows.NOW.date()) == "2026-W48, 23 to 29 Nov"
