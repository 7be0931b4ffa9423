"""Quarantined events on the Exceptions page: read by whoever sees exceptions, released by administrators."""

import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from sync_core.authority import Actor
from sync_core.reads import Reads
from tests.commands import people
from tests.pages.repair import press, shown, tick, told
from tests.pages.stage import texts
from tests.reads.handmade import add_quarantined


def quarantine(database: sa.Engine, reads: Reads, actor: Actor, **query: str) -> AppTest:
    return shown("exceptions", database, reads, actor, {"view": "quarantine", **query})


def test_nothing_in_quarantine_is_good_news(database: sa.Engine, nothing: Reads) -> None:
    assert "Nothing is in quarantine" in texts(quarantine(database, nothing, people.EXECUTIVE))


def test_events_are_listed_oldest_first_and_one_is_read_whole(database: sa.Engine, nothing: Reads) -> None:
    add_quarantined(database, "Q-1", hours=2)
    add_quarantined(database, "Q-2", hours=50, signature=False)
    page = quarantine(database, nothing, people.EXECUTIVE)
    assert list(page.dataframe[0].value["contract"]) == ["Q-2", "Q-1"]
    page = tick(page, "quarantine", 0)
    assert [code.value for code in page.code] == ["{}"]
    assert "An administrator may release and dismiss them" in texts(page)
    assert {"Release 1", "Dismiss 1…"}.isdisjoint({one.label for one in page.button})
    page = quarantine(database, nothing, people.EXECUTIVE, signature="yes")
    assert list(page.dataframe[0].value["contract"]) == ["Q-1"]


def test_an_administrator_dismisses_with_a_reason(database: sa.Engine, nothing: Reads) -> None:
    add_quarantined(database, "Q-1", hours=2)
    page = press(tick(quarantine(database, nothing, people.ADMINISTRATOR), "quarantine", 0), "Dismiss 1…")
    page.text_area[-1].input("a test of theirs")
    page = press(page, "Dismiss 1")
    assert told(page) == "1 event dismissed."
    assert "Nothing is in quarantine" in texts(page)
    page = quarantine(database, nothing, people.ADMINISTRATOR, held="dismissed")
    assert list(page.dataframe[0].value["state"]) == ["Dismissed"]


def test_what_is_still_not_understood_stays_and_says_why(database: sa.Engine, nothing: Reads) -> None:
    add_quarantined(database, "Q-1", hours=2)
    page = press(tick(quarantine(database, nothing, people.ADMINISTRATOR), "quarantine", 0), "Release 1")
    assert told(page).startswith("Nothing could be released: ")
