"""Texts of others on the views of governance, policy, drift and amendments: they are there, and stay texts."""

import orjson
import pytest
import sqlalchemy as sa

from sync_core.events import PREFIX
from sync_core.reads import Reads
from tests.commands import people
from tests.hostile import EVERYTHING, HTML, MARKDOWN
from tests.pages.stage import play
from tests.pages.test_hostile import bare, read_as_markdown
from tests.reads.handmade import add_contract, add_event, insert
from tests.rows import NOW, SOURCE
from tests.sows import milestone_terms, signed

V1 = f"{PREFIX}signed.v1"


@pytest.fixture
def amended(database: sa.Engine) -> int:
    """A contract with a hostile amendment and a hostile difference; its id."""
    header = {"number": 1, "executed_at": "2026-11-02T10:00:00Z", "summary": HTML + MARKDOWN, "signed_by": HTML}
    milestones = [{"key": "**k**", "name": HTML, "amount": "25000.00", "due_on": "2026-12-01", "line": "1"}]
    changes = {"milestones": milestones, "remove_milestones": ["design", "golive"], "po_number": MARKDOWN[:40]}
    first, second = signed("X-1", milestone_terms()), {"contract_id": "X-1", "revision": 2}
    add_event(database, "X-1", V1, orjson.dumps(first).decode())
    again = orjson.dumps({**second, "amendment": header, "changes": changes}).decode()
    add_event(database, "X-1", f"{PREFIX}amended.v1", again)
    made = add_contract(database, external_id="X-1", took=1.0, project_ref="P-1")
    insert(
        database, "drift", contract_id=made, system="cloud", kind="milestone", business_key="crm/X-1#M:**k** <b>",
        field="name", ours=EVERYTHING, theirs=EVERYTHING, stands="ours", words=EVERYTHING, first_seen_at=NOW,
        last_seen_at=NOW,
    )  # fmt: skip
    return made


@pytest.fixture
def governed(database: sa.Engine) -> sa.Engine:
    insert(database, "schema_usage", type=V1, source=HTML, received_by=MARKDOWN, used_on=NOW.date(), events=1,
           last_at=NOW)  # fmt: skip
    insert(database, "schema_registration", type=f"{PREFIX}signed.v9", body="{}", reads_as=V1, reason=EVERYTHING,
           renames=orjson.dumps([[HTML, MARKDOWN]]).decode(), registered_at=NOW, registered_by=HTML)  # fmt: skip
    insert(database, "schema_drift", source=SOURCE, type=V1, path=HTML, shape="string", events=7, first_seen_at=NOW,
           last_seen_at=NOW, acknowledged_at=NOW, acknowledged_by=HTML, acknowledged_as=EVERYTHING)  # fmt: skip
    insert(database, "quarantine", source=SOURCE, event_id="q", type=HTML, external_id="q", reason=HTML, body=b"{}",
           signature=True, received_by="webhook", correlation_id="q", occurred_at=NOW, recorded_at=NOW)  # fmt: skip
    insert(database, "connector_check", lane="cloud", api=HTML, needs="{}", checked_at=NOW, problem=EVERYTHING)
    insert(database, "release", system="erp:cloud", version=HTML, first_seen_at=NOW, last_seen_at=NOW)
    return database


@pytest.fixture
def proposed(database: sa.Engine) -> sa.Engine:
    """Twelve versions, eleven refused proposals and one that waits, each hostile."""
    insert(database, "estate_version", digest="e", body="", activated_at=NOW)
    common = {
        "version": "v", "body": EVERYTHING, "before": HTML, "reason": EVERYTHING, "proposed_by": HTML,
        "proposed_at": NOW, "tested_since": NOW, "tested": 1, "unreadable": 0, "changed": [], "effects": "{}",
        "second_person": EVERYTHING,
    }  # fmt: skip
    for _ in range(12):
        made = insert(database, "policy_proposal", "proposal_id", **common, state="refused", decided_by=HTML,
                      decided_at=NOW, decided_reason=EVERYTHING)  # fmt: skip
        insert(database, "policy", version="v", body="", estate="e", activated_at=NOW, activated_by=HTML,
               proposal_id=made)  # fmt: skip
    insert(database, "policy_proposal", "", **common, state="proposed")
    return database


def test_amendments(amended: int, nothing: Reads) -> None:
    shown = play("contract", nothing, {"id": str(amended), "view": "amendments"})
    assert not shown.exception
    assert not shown.error
    drawn = "\n".join(read_as_markdown(shown))
    assert "script\\>" in drawn
    assert bare(drawn) == []


@pytest.mark.parametrize("path", ["contract", "exceptions"])
def test_drift(path: str, amended: int, nothing: Reads) -> None:
    shown = play(path, nothing, {"id": str(amended)} if path == "contract" else {"view": "drift"})
    assert not shown.exception
    assert not shown.error
    drawn = "\n".join(read_as_markdown(shown))
    assert "# Heading" in drawn.replace("\\", "") or shown.dataframe
    assert bare(drawn) == []


@pytest.mark.parametrize("section", ["versions", "fields", "lineage", "releases"])
def test_governance(section: str, governed: sa.Engine, nothing: Reads) -> None:
    shown = play("governance", nothing, {"section": section}, actor=people.ADMINISTRATOR)
    assert not shown.exception
    assert not shown.error
    drawn = "\n".join(read_as_markdown(shown))
    assert section == "lineage" or "script\\>" in drawn
    assert bare(drawn) == []


def test_policy_says_of_how_many_a_list_shows_the_newest(proposed: sa.Engine, nothing: Reads) -> None:
    shown = play("policy", nothing, actor=people.EXECUTIVE)
    assert not shown.exception
    assert not shown.error
    drawn = "\n".join(read_as_markdown(shown))
    assert "script\\>" in drawn
    assert bare(drawn) == []
    assert [one.value for one in shown.caption].count("The newest 10 of 12.") == 2
