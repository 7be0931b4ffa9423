"""The platform page: promises, lanes, latency, backlog, failures, the database, releases and scheduled jobs."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest
import sqlalchemy as sa
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.postgres.embedded import Endpoint
from metrics.burn import PERIOD, WINDOWS, Events
from metrics.measures import Measures
from metrics.slo import OBJECTIVES, State, judge
from pages.kit import format as fmt
from pages.parts.platform import words as told
from pages.platform import PAGE
from sync_core.authority import Actor, Permission, person
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.reads import Reads
from tests import rows
from tests.commands.people import ADMINISTRATOR, EVERYTHING, audited
from tests.databases import DatabaseUrls
from tests.filled import filled
from tests.pages import running
from tests.pages.stage import CFO, play, texts
from tests.rows import NOW

LIMITED = person("admin@example.com", ["administrator@GB01"])
CARDS = {
    "": {"Promises", "Error budget"},
    "calls": {"ERP lanes over time", "ERP lanes", "Latency", "Calls by operation"},
    "work": {"Backlog now", "Oldest ready contract", "Failed attempts", "Replays", "CLM backlog"},
    "house": {"Releases", "Workers", "Database"},
    "jobs": {"Scheduled jobs"},
}
EVERY = set().union(*CARDS.values())


@pytest.fixture(scope="module")
def firm(server: Endpoint) -> Iterator[sa.Engine]:
    """The application's engine on a database with 200 contracts, all that ran, and a worker that lives."""
    with filled(server, "seeded_200", lambda url: rows.seed(url, 200)) as urls:
        engine = sa.create_engine(urls.app)
        running.ran(engine)
        running.scheduled(engine)
        with engine.connect() as conn:
            running.at_work(conn)
            yield engine
        engine.dispose()


def test_a_promise_of_all_that_was_broken_once_alarms_no_longer_when_it_is_kept_again() -> None:
    [objective] = [one for one in OBJECTIVES if one.name == "read-back"]
    one = judge(objective, {window: Events(9, 0) for window in WINDOWS} | {PERIOD: Events(90, 1)}, [])
    assert (one.state, one.budget_left) == (State.EXHAUSTED, 0)
    assert "Broken earlier" in told.standing(one)
    assert told.left(one) == fmt.DASH
    said = told.headline([one], [], [])
    assert said.startswith("**All 1 promises are kept now**")
    assert "Broken earlier, within 30 days: Projects that the ERP holds as they were written (1 of 90)." in said
    assert "spent" not in one.says
    # In the hour after it, it recovers; while it is so, it is broken.
    recovering = replace(one, broken_at=NOW)
    assert "Recovers" in told.standing(recovering)
    assert "Recovers: Projects" in told.headline([recovering], [], [])
    broken = replace(judge(objective, dict.fromkeys(WINDOWS, Events(9, 1)), []), broken_at=NOW)
    assert told.headline([broken], [], []).startswith("**1 of 1 promises broken:** Projects")


def test_a_budget_that_is_spent_is_wrong_for_as_long_as_it_is() -> None:
    [objective] = [one for one in OBJECTIVES if one.name == "api-latency"]
    calm = dict.fromkeys(WINDOWS, Events(1000, 0))
    one = replace(judge(objective, calm | {PERIOD: Events(1000, 20)}, []), broken_at=NOW)
    assert one.state is State.EXHAUSTED
    assert "Budget spent" in told.standing(one)
    assert told.headline([one], [], []).startswith("**1 of 1 promises broken:** API requests")


def shown(engine: sa.Engine, viewer: Actor = CFO, /, *, commands: bool = True, **query: str) -> AppTest:
    clock = VirtualClock(NOW)
    reads = Reads(engine, clock=clock, estate=rows.estate())
    measures = Measures(engine, clock=clock, estate=rows.estate())
    desk = Commands(engine, clock=clock, estate=rows.estate()) if commands else None
    page = play("platform", reads, query, actor=viewer, commands=desk, measures=measures)
    assert not page.exception
    return page


def tiles(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def table(page: AppTest, column: str) -> pd.DataFrame:
    return next(found.value for found in page.table if column in found.value.columns)


@pytest.mark.parametrize("section", CARDS)
def test_one_part_is_drawn_at_a_time_below_the_numbers(firm: sa.Engine, section: str) -> None:
    page = shown(firm, section=section)
    assert not page.error
    titles = texts(page).split("\n")
    assert {title for title in EVERY if f"### {title}" in titles} == CARDS[section]
    assert len(page.metric) == 6


def test_a_part_is_opened_by_a_click_and_leaves_the_window_alone(firm: sa.Engine) -> None:
    page = shown(firm, window="7d")
    page.button_group[0].set_value("work").run()
    assert (page.query_params["section"], page.query_params["window"]) == ("work", "7d")
    assert "### Backlog now" in texts(page)
    page.button_group[0].set_value("promises").run()
    assert "section" not in page.query_params
    assert "Not known here, so not filtered by: section “x”" in texts(shown(firm, section="x"))


def test_the_numbers_are_those_of_the_window(firm: sa.Engine) -> None:
    page = shown(firm)
    numbers = tiles(page)
    assert set(numbers) == {
        "Promises kept", "Least budget left", "API, p99", "ERP calls, p95", "Oldest ready", "Failed attempts",
    }  # fmt: skip
    assert numbers["API, p99"] == "over 10 s"  # one of 41 took longer than any bucket
    assert numbers["Failed attempts"] == "9.1%"  # 3 of 33
    assert "of 6 promises broken" in texts(page)
    assert "legacy takes no work" in texts(page)


def test_calls_are_told_with_the_width_of_their_bucket(firm: sa.Engine) -> None:
    calls = shown(firm, section="calls").dataframe[0].value.set_index("Operation")
    assert calls.loc["GET /v1/contracts", "Calls"] == 41
    assert calls.loc["GET /v1/contracts", "p50"] == "18 ms ±15 ms"
    assert calls.loc["project.create", "Failed"] == "0"


def test_the_window_stands_in_the_url(firm: sa.Engine) -> None:
    pages = (shown(firm, window=window, section="calls") for window in ("1h", "7d"))
    hour, week = (page.dataframe[0].value.set_index("Operation") for page in pages)
    assert (hour.loc["GET /v1/contracts", "Calls"], week.loc["GET /v1/contracts", "Calls"]) == (41, 82)
    assert "Not known here" in texts(shown(firm, window="3 years"))


def test_a_budget_is_chosen_in_the_url(firm: sa.Engine) -> None:
    page = shown(firm, promise="api-latency")
    assert page.selectbox(key="filter_promise").value == "api-latency"
    assert "2 bad of 82 requests; 1.0% may be" in texts(page)


def lines(page: AppTest) -> pd.DataFrame:
    return next(found.value for found in page.table if found.value.index.name == "Calls of")


def test_latency_is_by_system_and_opens_by_operation_and_by_outcome(firm: sa.Engine) -> None:
    assert set(lines(shown(firm, section="calls")).index) == {"CLM crm", "ERP cloud", "Requests to Tieline"}
    by_operation, by_outcome, of_one = (
        lines(shown(firm, section="calls", system="web:tieline", window="7d", operation=operation, lines=split))
        for operation, split in (("", ""), ("", "outcome"), ("GET /v1/contracts", "operation"))
    )
    assert list(by_operation.index) == ["GET /v1/contracts"]
    assert dict(by_outcome["Calls"]) == dict(of_one["Calls"]) == {"Failed": "2", "Well": "80"}
    assert of_one.loc["Failed", "p50"] == "over 10 s"
    assert "Not known here" in texts(shown(firm, section="calls", system="erp:none"))


def test_releases_are_told_and_marked_on_the_charts(firm: sa.Engine) -> None:
    insert = sa.text("""
        INSERT INTO core.release (system, version, first_seen_at, last_seen_at) VALUES (:system, :version, :at, :last)
    """)
    with firm.begin() as conn:
        for minutes, system, version in (
            (90, "erp:cloud", "<b>1</b>"),
            (50, "erp:cloud", "2"),
            (50, "tieline", "1"),
        ):
            at = NOW - timedelta(minutes=minutes)
            last = at if version == "<b>1</b>" else NOW
            conn.execute(insert, {"system": system, "version": version, "at": at, "last": last})
    st.cache_resource.clear()
    page = shown(firm, section="house")
    known = table(page, "First seen").set_index("Version")
    assert known.loc["2", "System"] == "ERP cloud"
    assert (known.loc["2", "Last seen"], known.loc["1", "Last seen"]) == ("runs now", "runs now")
    assert str(known.loc[r"\<b\>1\</b\>", "Last seen"]).replace("\\", "") == "23 Nov 2026 04:30 UTC"
    told_ = [one.value.replace("\\", "") for one in shown(firm, section="calls").caption]
    marked = next(words for words in told_ if words.startswith("Marked"))
    assert "cloud 2 from 23 Nov 05:10" in marked
    assert "cloud out 23 Nov 05:25 to 05:40" in marked
    assert "Tieline" not in marked  # the first that was seen of it


def test_jobs_are_told_in_words_with_what_needs_a_look_first(firm: sa.Engine) -> None:
    grid = shown(firm, section="jobs").dataframe[0].value
    assert list(grid["job"])[:2] == ["Audit chain", "Poll crm"]
    by_job = grid.set_index("job")
    assert by_job.loc["Audit chain", "state"] == ["Paused"]
    assert "moving house (admin@example.com" in str(by_job.loc["Audit chain", "result"])
    assert by_job.loc["Poll crm", "state"] == ["Failed"]
    assert by_job.loc["Measures", "result"] == "3 contracts measured again"
    assert (by_job.loc["Measures", "every"], by_job.loc["Measures", "took"]) == ("15 s", "1.5 s")


def test_hostile_words_are_shown_as_they_are(firm: sa.Engine) -> None:
    page = shown(firm, job="poll:crm")
    runs = table(page, "What it did")
    assert r"\<b\>\*x\*\</b\> \$1 \[a\]\(b\)" in set(runs["What it did"])


def test_an_administrator_pauses_resumes_and_runs_a_job(firm: sa.Engine) -> None:
    page = shown(firm, ADMINISTRATOR, job="measures")
    page.text_input[0].set_value("the ERP is moved tonight")
    press(page, "Pause")
    assert "Measures is paused" in said(page)
    assert {button.label for button in page.button} >= {"Run now", "Resume"}, "it stays open, as the job then stands"
    assert page.text_input[0].value == ""
    page.text_input[0].set_value("it is moved")
    press(page, "Resume")
    assert page.query_params["job"] == "measures"
    assert "Measures goes on" in said(page)
    page = shown(firm, ADMINISTRATOR, job="poll:crm")
    page.text_input[0].set_value("look at once")
    press(page, "Run now")
    assert "Poll crm was asked for" in said(page)
    assert [row["action"] for row in audited(firm)] == ["schedule.pause", "schedule.resume", "schedule.run"]


def test_a_change_without_a_reason_keeps_the_dialog_open(firm: sa.Engine) -> None:
    page = shown(firm, ADMINISTRATOR, job="audit-verify")
    press(page, "Resume")
    assert page.query_params["job"] == "audit-verify"
    assert any("say why" in warning.value.lower() for warning in page.warning)


@pytest.mark.parametrize("viewer", [CFO, EVERYTHING, LIMITED], ids=["executive", "operator", "limited administrator"])
def test_who_may_not_is_offered_no_button(firm: sa.Engine, viewer: Actor) -> None:
    page = shown(firm, viewer, job="measures")
    assert not {button.label for button in page.button} & {"Run now", "Pause", "Resume"}
    assert "An administrator with reach over all legal entities" in texts(page)
    assert "Last runs" in texts(page)


def test_a_job_that_is_not_there_is_said(firm: sa.Engine) -> None:
    assert "There is no such scheduled job" in texts(shown(firm, job="x'; drop"))


def test_a_new_installation_says_what_is_missing(database: sa.Engine) -> None:
    pages = [shown(database, section=section) for section in CARDS]
    assert not any(page.error for page in pages)
    told_ = "\n".join(texts(page) for page in pages)
    for words in ("No promise was looked at yet", "No ERP is connected yet", "No call was made in this time",
                  "No contract ran in this time", "Nothing was replayed in this time", "Nothing was sampled yet",
                  "No worker runs", "No release was seen yet", "No job is declared yet"):  # fmt: skip
        assert words in told_, words
    assert tiles(pages[0])["Promises kept"] == "–"


def test_a_card_that_fails_keeps_its_failure(database_urls: DatabaseUrls, database: sa.Engine) -> None:
    owner = sa.create_engine(database_urls.owner)
    with owner.begin() as conn:
        conn.execute(sa.text("ALTER TABLE core.job_run RENAME TO job_run_gone"))
    owner.dispose()
    page = shown(database, section="jobs")
    assert any("Scheduled jobs could not be drawn. Incident" in error.value for error in page.error)
    assert len(page.metric) == 6
    assert "No promise was looked at yet" in texts(shown(database))


def test_without_the_permission_nothing_is_shown(firm: sa.Engine) -> None:
    nobody = Actor("program", scopes={})
    page = play("platform", Reads(firm, clock=VirtualClock(NOW), estate=rows.estate()), {}, actor=nobody,
                measures=Measures(firm, clock=VirtualClock(NOW), estate=rows.estate()))  # fmt: skip
    assert not page.exception
    assert "This needs the permission" in texts(page)
    assert not page.metric
    assert not page.dataframe


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception


def said(page: AppTest) -> str:
    return "\n".join(one.value for one in page.success)


def test_the_page_asks_for_one_permission() -> None:
    assert PAGE.needs is Permission.KPI_READ
