"""Differences between CLM, Tieline and ERP: a view of the Exceptions page, and a card of a contract's."""

from datetime import timedelta

import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from pages.kit import format as fmt
from sync_core.authority import Actor, person
from sync_core.reads import Reads
from tests.commands import people
from tests.pages.repair import press, shown, told
from tests.pages.stage import play, texts
from tests.reads.handmade import add_contract, insert
from tests.rows import NOW


def drift(database: sa.Engine, reads: Reads, actor: Actor, **query: str) -> AppTest:
    return shown("exceptions", database, reads, actor, {"view": "drift", **query})


def add_drift(database: sa.Engine, contract_id: int, **more: object) -> int:
    seen = NOW - timedelta(hours=5)
    values = {
        "system": "cloud", "kind": "milestone", "business_key": "crm/D-1#M:golive", "field": "bill_on",
        "ours": "2026-12-01", "theirs": "2027-01-31", "stands": "ours", "first_seen_at": seen, "last_seen_at": seen,
    }  # fmt: skip
    return insert(database, "drift", "drift_id", contract_id=contract_id, **{**values, **more})


def add_watched(database: sa.Engine) -> int:
    made = add_contract(database, external_id="D-1", state="active", project_ref="P1", lane="cloud")
    insert(database, "drift_check", contract_id=made, lane="cloud", checked_at=NOW - timedelta(hours=5),
           outcome="differs")  # fmt: skip
    return made


def test_no_difference_is_good_news(database: sa.Engine, nothing: Reads) -> None:
    page = drift(database, nothing, people.EXECUTIVE)
    assert "No differences" in texts(page)
    assert "No contract is watched yet" in texts(page)
    assert "An operator may compare anew and preview a repair" in texts(page)


def test_differences_are_listed_with_what_they_call_for(database: sa.Engine, nothing: Reads) -> None:
    made = add_watched(database)
    add_drift(database, made)
    add_drift(database, made, field="amount", stands="allowed", ours="15000.00", theirs="<b>5</b>")
    page = drift(database, nothing, people.EXECUTIVE)
    rows = page.dataframe[0].value
    assert set(rows["ours"]) == {"1 Dec 2026", "$15,000.00"}
    assert set(rows["theirs"]) == {"31 Jan 2027", "<b>5</b>"}
    assert set(rows["what"]) == {"Milestone golive, bill on", "Milestone golive, amount"}
    assert set(rows["stands"]) == {"To be repaired", "Allowed"}
    assert "1 contract watched" in texts(page)
    assert "the oldest comparison is 5" in texts(page)
    only = drift(database, nothing, people.EXECUTIVE, stands="allowed")
    assert list(only.dataframe[0].value["theirs"]) == ["<b>5</b>"]
    assert "No difference meets these filters" in texts(drift(database, nothing, people.EXECUTIVE, drift="closed"))


def test_an_operator_compares_and_previews_a_repair(database: sa.Engine, nothing: Reads) -> None:
    add_drift(database, add_watched(database))
    page = press(drift(database, nothing, people.EVERYTHING), "Compare all now")
    assert told(page) == "1 contract will be compared now."
    page = press(page, "Preview the repair of 1 contract")
    with database.connect() as conn:
        assert conn.scalar(sa.text("SELECT title FROM core.replay")) == "Repair of drift"
    assert not page.exception


def test_a_contract_shows_its_own(database: sa.Engine, nothing: Reads) -> None:
    made = add_watched(database)
    page = play("contract", nothing, {"id": str(made)})
    assert "Differences" not in texts(page)
    add_drift(database, made)
    page = play("contract", nothing, {"id": str(made)})
    assert "Differences" in texts(page)
    assert f"as compared {fmt.moment(NOW - timedelta(hours=5))}" in texts(page)
    assert "Milestone golive, bill on (to be repaired)" in str(page.table[0].value.iloc[0, 0]).replace("\\", "")
    assert "1 Dec 2026" in str(page.table[0].value.iloc[0, 1])
    assert "The newest" not in texts(page)
    for n in range(50):
        add_drift(database, made, business_key=f"crm/D-1#M:part{n}")
    page = play("contract", nothing, {"id": str(made)})
    assert "The newest 50 of 51." in texts(page)
    assert "All differences" in {link.proto.label for link in page.get("page_link")}


def test_only_legal_entities_within_reach_are_offered(database: sa.Engine, nothing: Reads) -> None:
    made = add_watched(database)
    add_drift(database, made)
    page = drift(database, nothing, person("part@example.com", ["executive@US01"]))
    [box] = [one for one in page.selectbox if one.label == "Legal entity"]
    assert len(nothing.estate.entity) > 1
    assert len(box.options) == 2, "every one, and its own"
