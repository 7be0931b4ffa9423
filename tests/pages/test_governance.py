"""The Governance page: versions with their senders, registration, new fields, lineage, owners, releases, needs."""

import json
from dataclasses import replace
from datetime import date, timedelta

import orjson
import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from pages.kit import format as fmt
from sync_core.authority import Actor, Forbidden, person
from sync_core.clock import VirtualClock
from sync_core.estate.schemas import PlannedRelease
from sync_core.events import PREFIX
from sync_core.reads import Reads
from sync_core.schemas.registered import validator_of
from tests import rows
from tests.commands import people
from tests.pages.repair import press, shown, told
from tests.pages.stage import texts
from tests.reads.handmade import insert
from tests.rows import NOW, SOURCE
from tests.sows import cloud_event, signed
from tests.versions import V3, as_v3, v3_schema

V1, V2 = f"{PREFIX}signed.v1", f"{PREFIX}signed.v2"
LIMITED = person("admin@example.com", ["administrator@GB01"])
HOSTILE = "<b>*x*</b> $1 [a](b)"


def page(database: sa.Engine, actor: Actor = people.ADMINISTRATOR, **query: str) -> AppTest:
    estate = replace(rows.estate(), release=(PlannedRelease("erp:cloud", "2027.1", date(2027, 1, 15), HOSTILE),))
    reads = Reads(database, clock=VirtualClock(NOW), estate=estate)
    drawn = shown("governance", database, reads, actor, query, estate=estate)
    assert not drawn.error
    return drawn


def wait_for_a_schema(database: sa.Engine, *contracts: str) -> None:
    for name in contracts:
        event = cloud_event(f"{name}.v3", "signed.v3", as_v3(signed(name))) | {"source": SOURCE}
        insert(
            database, "quarantine", "quarantine_id", source=SOURCE, event_id=event["id"], type=V3, external_id=name,
            reason="not registered", signature=True, body=orjson.dumps(event), received_by="webhook",
            correlation_id="q", occurred_at=NOW, recorded_at=NOW - timedelta(hours=2),
        )  # fmt: skip


def use(
    database: sa.Engine, kind: str, events: int, *, days: int = 1, source: str = SOURCE, way: str = "webhook"
) -> None:
    at = NOW - timedelta(days=days)
    insert(database, "schema_usage", type=kind, source=source, received_by=way, used_on=at.date(),
           events=events, last_at=at)  # fmt: skip


def drifted(database: sa.Engine, path: str, **more: object) -> None:
    insert(database, "schema_drift", "", source=SOURCE, type=V1, path=path, shape="string", events=7,
           first_seen_at=NOW - timedelta(days=1), last_seen_at=NOW, **more)  # fmt: skip


def table(drawn: AppTest, column: str) -> list[dict[str, str]]:
    found = next(one.value for one in drawn.table if column in one.value.columns)
    return [{str(name): str(cell) for name, cell in row.items()} for row in found.to_dict("records")]


def test_a_new_installation_has_nothing_to_say(database: sa.Engine) -> None:
    drawn = page(database, people.EXECUTIVE)
    assert "Every event that comes in is of a version that is known" in texts(drawn)
    assert "### Waiting for a schema" not in texts(drawn)
    assert "No new field came in" in texts(page(database, people.EXECUTIVE, section="fields"))
    assert "No ERP was asked yet" in texts(page(database, people.EXECUTIVE, section="releases"))
    assert "Not known here, so not filtered by: section “x”" in texts(page(database, section="x"))


def test_use_is_as_of_the_last_count(database: sa.Engine) -> None:
    assert "Use was not counted yet" in texts(page(database))
    at = NOW - timedelta(minutes=10)
    insert(database, "schedule", "", job="schemas", every_s=60, declared_at=NOW)
    insert(database, "job_run", "", job="schemas", scheduled_for=at, started_at=at, finished_at=at, outcome="ok")
    drawn = page(database)
    assert f"Data as of {fmt.moment(at)}" in texts(drawn)
    assert "Use was not counted yet" not in texts(drawn)


def test_versions_are_told_with_their_end_and_their_senders(database: sa.Engine) -> None:
    use(database, V1, 40)
    use(database, V1, 60, days=31)
    use(database, V2, 5, source=HOSTILE)
    drawn = page(database, people.EXECUTIVE)
    assert "**1 client** still sends a deprecated version" in texts(drawn)
    known = {row["Version"].partition("**")[2].partition("**")[0].replace("\\", ""): row
             for row in table(drawn, "Until at least")}  # fmt: skip
    first, second = known[V1], known[V2]
    assert "Deprecated" in first["State"]
    assert (first["Until at least"], first["30 days"], first["In all"]) == ("31 Dec 2027", "40", "100")
    assert ("Active" in second["State"], second["30 days"]) == (True, "5")
    assert r"\<b\>" in second["Sent by"]


def test_our_own_import_is_named_and_no_client_that_is_to_send_another_version(database: sa.Engine) -> None:
    use(database, V1, 40, source="urn:public", way="import:public")
    drawn = page(database, people.EXECUTIVE)
    assert "deprecated version" not in texts(drawn).split("###")[0]
    [first] = [row for row in table(drawn, "Until at least") if V1 in row["Version"].replace("\\", "")]
    assert "by our own import:public (40)" in first["Sent by"].replace("\\", "")


def test_an_unknown_version_is_registered_after_a_look_ahead_and_its_events_are_released(database: sa.Engine) -> None:
    wait_for_a_schema(database, "C-1", "C-2")
    drawn = page(database)
    assert "**2 events** of versions that nobody knows wait for a schema" in texts(drawn)
    drawn = press(drawn, "Register a version…")
    drawn.text_area(key="register_schema_text").set_value(v3_schema())
    drawn.text_area(key="register_renames").set_value("terms.total = terms.value")
    drawn.text_input(key="register_why").set_value("the CLM was upgraded")
    drawn = press(drawn, "Look ahead")
    assert "of 2 looked at, 0 would be released" in told(drawn)
    assert "terms.lines.0.amount" in texts(drawn).replace("\\", "")
    both = "terms.total = terms.value\nterms.lines[].sum = terms.lines[].amount"
    drawn.text_area(key="register_renames").set_value(both)
    drawn = press(drawn, "Look ahead")
    assert "of 2 looked at, 2 would be released" in told(drawn)
    drawn = press(drawn, "Register")
    assert told(drawn) == f"{V3} is registered; 2 events released."
    assert "### Waiting for a schema" not in texts(drawn)
    [one] = table(drawn, "Renamed")
    assert "in force" in one["State"]
    drawn = press(drawn, "Withdraw one…")
    drawn.text_input(key="withdraw_why").set_value("their release went back")
    drawn = press(drawn, "Withdraw")
    assert told(drawn) == f"{V3} is taken no more."
    assert [row["action"] for row in people.audited(database)] == ["schema.register", "schema.withdraw"]


def test_what_cannot_be_registered_keeps_the_form_with_its_reason(database: sa.Engine) -> None:
    wait_for_a_schema(database, "C-1")
    drawn = press(page(database), "Register a version…")
    drawn.text_area(key="register_schema_text").set_value("{")
    drawn = press(drawn, "Register")
    assert "say why" in told(drawn).lower()
    drawn.text_input(key="register_why").set_value("a reason")
    drawn = press(drawn, "Register")
    assert "The schema is no JSON" in told(drawn)
    assert people.audited(database) == []


@pytest.mark.parametrize(
    "viewer", [people.EXECUTIVE, people.EVERYTHING, LIMITED], ids=["executive", "operator", "part"]
)
def test_who_may_not_is_offered_no_change(database: sa.Engine, viewer: Actor) -> None:
    wait_for_a_schema(database, "C-1")
    drifted(database, "terms.risk")
    drawn = page(database, viewer)
    assert "An administrator may register a version" in texts(drawn)
    assert "Register a version…" not in {one.label for one in drawn.button}
    assert "Acknowledge" not in {one.label for one in page(database, viewer, section="fields").button}


def test_stored_events_are_held_against_a_schema(database: sa.Engine) -> None:
    for name, total in (("C-1", "1.00"), ("C-2", None)):
        data = signed(name) | ({"total": total} if total else {})
        insert(database, "event", source=SOURCE, id=name, type=V1, external_id=name, occurred_at=NOW, recorded_at=NOW,
               received_by="webhook", correlation_id="c", data=json.dumps(data), attributes="{}")  # fmt: skip
    drawn = page(database)
    drawn.selectbox(key="check_type").set_value(V1)
    schema = {"type": "object", "required": ["contract_id", "total"]}
    drawn.text_area(key="check_schema_text").set_value(json.dumps(schema))
    drawn = press(drawn, "Check")
    assert "1 of 2 stored events fit." in told(drawn)
    [misfit] = table(drawn, "Why not")
    assert (misfit["Field"], misfit["Events"]) == ("total", "1")
    assert ("total", "breaks") in {(row["Field"], row["Effect"]) for row in table(drawn, "Effect")}
    drawn.text_area(key="check_schema_text").set_value("")
    assert "2 of 2 stored events fit." in told(press(drawn, "Check"))


@pytest.mark.parametrize(
    "viewer", [people.EXECUTIVE, people.EVERYTHING, LIMITED], ids=["executive", "operator", "part"]
)
def test_stored_events_are_held_against_a_schema_for_nobody_else(database: sa.Engine, viewer: Actor) -> None:
    drawn = page(database, viewer)
    assert "may hold stored events against a schema" in texts(drawn)
    assert "Check" not in {one.label for one in drawn.button}
    reads = Reads(database, clock=VirtualClock(NOW), estate=rows.estate()).within(viewer)
    with pytest.raises(Forbidden, match=r"schemas:write|all legal entities"):
        reads.fits(V1, validator_of({"properties": {"terms": {"type": "string"}}}), most=None)


def test_new_fields_are_acknowledged_with_a_reason(database: sa.Engine) -> None:
    drifted(database, f"terms.{HOSTILE}")
    drifted(database, "terms.old", acknowledged_at=NOW, acknowledged_by="eve@example.com", acknowledged_as="theirs")
    drawn = page(database, section="fields")
    assert "**1 new field** came in that nobody has looked at" in texts(drawn)
    first, second = table(drawn, "Field")
    assert ("Nobody has looked" in first["State"], r"\<b\>" in first["Field"]) == (True, True)
    assert "eve" in second["State"]
    [options] = [one for one in drawn.multiselect if one.label == "Fields that are known now"]
    options.set_value([1])
    drawn.text_input(key="drift_why").set_value("the risk class of their new release")
    drawn = press(drawn, "Acknowledge")
    assert told(drawn) == "1 field acknowledged."
    assert [row["action"] for row in people.audited(database)] == ["schema.acknowledge"]


def test_a_list_that_is_cut_says_of_how_many(database: sa.Engine) -> None:
    for n in range(201):
        drifted(database, f"terms.field{n}")
    for n in range(101):
        insert(database, "schema_registration", type=f"{PREFIX}signed.v{n + 10}", body="{}", reads_as=V1, renames="[]",
               reason="r", registered_at=NOW, registered_by="eve", withdrawn_at=NOW, withdrawn_by="eve",
               withdrawn_reason="r")  # fmt: skip
    drawn = page(database)
    assert "**201 new fields** came in" in texts(drawn)
    assert "100 of 101: those in force first" in texts(drawn)
    assert "60 of 201; `tieline schemas fields` lists more." in texts(page(database, section="fields"))


def test_lineage_owners_releases_and_connectors_are_shown(database: sa.Engine) -> None:
    insert(database, "connector_check", lane="cloud", api="v1", needs='{"project": ["id", "purchase_order"]}',
           checked_at=NOW, problem="its answers lack the field project.purchase_order")  # fmt: skip
    insert(database, "release", system="erp:cloud", version="2026.3", first_seen_at=NOW, last_seen_at=NOW)
    lineage = page(database, people.EXECUTIVE, section="lineage").dataframe[0].value
    amount = lineage[lineage["Field of the contract"] == "milestones[].amount"].iloc[0]
    assert (amount["ERP object"], amount["Sandbox cloud"], amount["Corrected by"]) == ("Milestone", "amount", "Legal")
    drawn = page(database, people.EXECUTIVE, section="releases")
    planned, seen = table(drawn, "Note")
    assert (planned["Version"].replace("\\", ""), planned["On"]) == ("2027.1", "15 Jan 2027")
    assert r"\<b\>" in planned["Note"]
    assert "2026.3" in seen["Version"].replace("\\", "")
    [check] = table(drawn, "Interface")
    assert "Lane paused" in check["Found"]
    assert "legal" in {row["Function"].lower() for row in table(drawn, "Corrects")}
