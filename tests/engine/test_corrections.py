"""A correction mends the contract, and the exception closes when the ERP was read back, not before."""

from datetime import timedelta

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import Forbidden, person
from sync_core.commands.desk import Changed, InvalidInput, NotFound
from sync_core.desired import Kind
from sync_core.errors import ErpUnavailable, Function
from tests.commands.people import BRITISH_TAX, DELIVERY, EXECUTIVE, FINANCE, LEGAL, TAX, audited
from tests.engine.governed import Desk
from tests.sows import cloud_event, milestone_terms, signed, tm_terms

CODE = {"tax": {"tax_code": "US-CA-STD"}}
MASTER_DATA = person("md@example.com", ["operator:master_data"])


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    return Desk(async_database, sync=database)


async def blocked(desk: Desk, terms: dict[str, object], cause: str) -> int:
    """The exception of a contract that was signed with these terms."""
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", terms)))
    await desk.run()
    assert await desk.states() == {"C-1": "blocked"}
    return await desk.case_id(cause)


async def test_a_missing_tax_code_is_given_and_the_case_closes_on_read_back(desk: Desk) -> None:
    case = await blocked(desk, milestone_terms(tax={}), "tax_code_missing")
    form = desk.reads.case(case).form  # type: ignore[union-attr]
    assert form is not None
    assert [f.path for f in form.fields] == ["tax.tax_code", "tax.exempt"]
    seen = desk.people.corrections.preview(TAX, case, CODE)
    assert [str(change) for change in seen.changes] == ["tax code: US-CA-STD"]
    assert (seen.remaining, seen.mends, seen.unseen) == ((), None, ("US-CA-STD",))
    assert await desk.rows("SELECT 1 FROM core.event WHERE type LIKE :t", t="%corrected%") == []
    done = desk.people.corrections.submit(TAX, case, CODE, "the usual code of California", version=seen.version)
    assert await desk.told(case) == ["opened", "corrected"]
    assert (await desk.cases())[0][2] == "open"
    await desk.run()
    assert await desk.states() == {"C-1": "active"}
    assert await desk.told(case) == ["opened", "corrected", "resolved"]
    (project,) = desk.erp.of(Kind.PROJECT)
    assert project.fields["tax_code"] == "US-CA-STD"
    [event] = await desk.rows(
        "SELECT source, received_by, attributes, data FROM core.event WHERE id = :id", id=done.event_id
    )
    assert event[:2] == ("urn:test:clm", "correction")
    assert (event[2]["author"], event[2]["function"]) == ("tax@example.com", "tax")
    assert event[3]["overrides"] == 1
    row = audited(desk.sync)[0]  # type: ignore[arg-type]
    detail = orjson.loads(row["detail"])
    assert (row["action"], detail["before"], detail["after"]) == (
        "correction.submit", {"tax code": None}, {"tax code": "US-CA-STD"},
    )  # fmt: skip


async def test_what_the_erp_finds_next_closes_the_first_exception_and_follows_the_correction(desk: Desk) -> None:
    """The corrected code is unknown to the ERP: the first check passes, so its exception has no words left to stand."""
    case = await blocked(desk, milestone_terms(tax={}), "tax_code_missing")
    seen = desk.people.corrections.preview(TAX, case, {"tax": {"tax_code": "US-NV"}})
    assert (seen.mends, seen.unseen) == (None, ("US-NV",))
    assert seen.verdict == (
        "The contract's own checks pass; whether cloud knows the tax code “US-NV” shows when the worker reads it."
    )
    desk.people.corrections.submit(TAX, case, {"tax": {"tax_code": "US-NV"}}, "Nevada's")
    await desk.run()
    assert await desk.states() == {"C-1": "blocked"}
    assert [(c[0], c[2]) for c in await desk.cases()] == [
        ("tax_code_missing", "resolved"), ("tax_profile_missing", "open"),
    ]  # fmt: skip
    assert (await desk.rows("SELECT closed_how FROM core.case WHERE case_id = :c", c=case))[0] == ("checked",)
    new = await desk.case_id("tax_profile_missing")
    first, detail = desk.reads.case(case), desk.reads.case(new)
    assert first is not None
    assert detail is not None
    assert detail.follows is not None
    assert (detail.follows.case_id, detail.follows.cause, detail.follows.actor, detail.follows.reason) == (
        case, "tax_code_missing", "tax@example.com", "Nevada's",
    )  # fmt: skip
    assert (first.followed_by, detail.followed_by) == (new, None)
    assert detail.form is not None
    assert [field.path for field in detail.form.fields] == ["tax.tax_code"]
    assert detail.form.values == {"tax": {"tax_code": "US-NV"}}
    desk.virtual.advance(timedelta(minutes=1))
    done = desk.people.corrections.submit(TAX, new, CODE, "it is California's after all")
    assert done.verdict.startswith("The contract's own checks pass; whether cloud")
    await desk.run(after=timedelta(minutes=1))
    assert await desk.states() == {"C-1": "active"}
    assert {c[2] for c in await desk.cases()} == {"resolved"}


async def test_one_of_two_causes_closes_once_its_check_passes(desk: Desk) -> None:
    case = await blocked(desk, milestone_terms(tax={}, ends_on="2026-01-01"), "tax_code_missing")
    desk.people.corrections.submit(TAX, case, CODE, "the usual code")
    await desk.run()
    assert [(c[0], c[2]) for c in await desk.cases()] == [
        ("end_before_start", "open"), ("tax_code_missing", "resolved"),
    ]  # fmt: skip
    assert await desk.states() == {"C-1": "blocked"}


async def test_what_a_run_could_not_look_for_stays_open(desk: Desk) -> None:
    """Without its legal entity nobody can tell whether the ERP has the tax profile by now."""
    desk.erp.tax_codes.clear()
    case = await blocked(desk, milestone_terms(), "tax_profile_missing")
    unknown = {"contract_id": "C-1", "revision": 2, "overrides": 1, "changes": {"legal_entity": "XX99"}}
    await desk.arrive(cloud_event("e2", "corrected.v1", unknown))
    await desk.run()
    assert [(c[0], c[2]) for c in await desk.cases()] == [
        ("tax_profile_missing", "open"), ("legal_entity_unknown", "open"),
    ]  # fmt: skip
    assert await desk.told(case) == ["opened"]


async def test_an_erp_that_does_not_answer_closes_nothing(desk: Desk) -> None:
    case = await blocked(desk, milestone_terms(tax={}), "tax_code_missing")
    desk.people.corrections.submit(TAX, case, CODE, "the usual code")
    desk.erp.before = lambda _operation, _ctx: ErpUnavailable("memory", "down")
    await desk.run()
    assert ("retry",) in await desk.rows("SELECT outcome FROM core.run")
    assert [(c[0], c[2]) for c in await desk.cases()] == [("tax_code_missing", "open")]


async def test_a_code_that_the_erp_held_for_the_entity_is_offered_and_trusted(desk: Desk) -> None:
    await desk.arrive(cloud_event("e0", "signed.v1", signed("C-0")))
    await desk.run()
    case = await blocked_beside(desk)
    form = desk.reads.case(case).form  # type: ignore[union-attr]
    assert form is not None
    assert form.known == {"tax.tax_code": ("US-CA-STD",)}
    assert form.schema["$defs"]["Tax"]["properties"]["tax_code"]["examples"] == ["US-CA-STD"]  # type: ignore
    seen = desk.people.corrections.preview(TAX, case, CODE)
    assert (seen.mends, seen.unseen) == (True, ())
    assert seen.verdict == (
        "Mends this exception: cloud holds the tax code “US-CA-STD” for US01 already, and the contract's own checks "
        "pass."
    )
    other = desk.people.corrections.preview(TAX, case, {"tax": {"exempt": True}})
    assert (other.mends, other.unseen) == (True, ())


async def blocked_beside(desk: Desk) -> int:
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(tax={}))))
    await desk.run()
    return await desk.case_id("tax_code_missing")


async def test_milestones_and_rates_are_corrected_item_by_item(desk: Desk) -> None:
    parts = [
        {"key": "design", "name": "Design", "amount": "9000.00", "due_on": "2026-05-29", "line": "1"},
        {"key": "golive", "name": "Go-live", "amount": "15000.00", "due_on": "2026-09-30", "line": "1"},
    ]
    case = await blocked(desk, milestone_terms(milestones=parts), "milestones_do_not_add_up")
    form = desk.reads.case(case).form  # type: ignore[union-attr]
    assert form is not None
    assert form.values["milestones"] == [
        {"key": "design", "amount": "9000.00"}, {"key": "golive", "amount": "15000.00"},
    ]  # fmt: skip
    given = {"milestones": [{"key": "design", "amount": "10000.00"}, {"key": "golive", "amount": "15000.00"}]}
    desk.people.corrections.submit(LEGAL, case, given, "the signed paper says ten thousand")
    await desk.run()
    assert await desk.states() == {"C-1": "active"}
    assert {m.fields["amount"] for m in desk.erp.of(Kind.MILESTONE)} == {"10000", "15000"}


async def test_a_rate_card_is_added_by_delivery(desk: Desk) -> None:
    case = await blocked(desk, tm_terms(rates=[]), "rate_card_missing")
    rate = {"category": "SR", "name": "Senior", "rate": "240.00", "planned_hours": "100", "line": "1"}
    desk.people.corrections.submit(DELIVERY, case, {"rates": [rate]}, "as offered in March")
    await desk.run()
    assert await desk.states() == {"C-1": "active"}
    assert [r.fields["rate"] for r in desk.erp.of(Kind.LABOUR_RATE)] == ["240"]


async def test_a_later_revision_of_the_clm_stands_above_a_correction(desk: Desk) -> None:
    case = await blocked(desk, milestone_terms(tax={}), "tax_code_missing")
    desk.people.corrections.submit(TAX, case, CODE, "the usual code")
    await desk.run()
    desk.erp.tax_codes.add("US-NY")
    again = signed("C-1", milestone_terms(tax={"tax_code": "US-NY"}), revision=2)
    await desk.arrive(cloud_event("e2", "signed.v1", again))
    await desk.run()
    (project,) = desk.erp.of(Kind.PROJECT)
    assert project.fields["tax_code"] == "US-NY"


async def test_only_its_function_corrects_and_only_its_fields(desk: Desk) -> None:
    case = await blocked(desk, milestone_terms(tax={}), "tax_code_missing")
    submit = desk.people.corrections.submit
    for actor in (LEGAL, FINANCE, EXECUTIVE):
        with pytest.raises(Forbidden):
            submit(actor, case, CODE, "not mine to say")
    with pytest.raises(NotFound):
        submit(BRITISH_TAX, case, CODE, "not my country")
    with pytest.raises(NotFound):
        desk.people.corrections.preview(BRITISH_TAX, case, CODE)
    with pytest.raises(InvalidInput, match="value"):
        submit(TAX, case, {"value": "1"}, "I should not")
    desk.people.cases.hand_over(TAX, [case], Function.LEGAL, "look at this")
    with pytest.raises(InvalidInput, match="for tax to set: hand it over"):
        submit(LEGAL, case, CODE, "it is with us now")
    assert [row["action"] for row in audited(desk.sync)] == ["exception.hand_over"]  # type: ignore[arg-type]


async def test_what_mends_nothing_or_is_out_of_date_is_refused(desk: Desk) -> None:
    case = await blocked(desk, milestone_terms(tax={}), "tax_code_missing")
    submit = desk.people.corrections.submit
    with pytest.raises(InvalidInput, match="already"):
        submit(TAX, case, {"tax": {"exempt": False}}, "nothing new")
    with pytest.raises(InvalidInput, match="would remain"):
        submit(TAX, case, {"tax": {"tax_code": ""}}, "an empty code")
    with pytest.raises(InvalidInput, match="Extra inputs"):
        submit(TAX, case, {"tax": {"rate": "19"}}, "no such field")
    for hostile in ("a\0b", "x" * 201, "\x1b[2J", "a\ud800"):
        with pytest.raises(InvalidInput):
            submit(TAX, case, {"tax": {"tax_code": hostile}}, "hostile")
    with pytest.raises(InvalidInput, match="say why"):
        submit(TAX, case, CODE, "")
    desk.people.cases.assign(TAX, [case], "tax@example.com")
    with pytest.raises(Changed):
        submit(TAX, case, CODE, "too late", version=1)


async def test_what_lives_in_the_erp_has_no_form_and_says_where(desk: Desk) -> None:
    desk.erp.customers.clear()
    british = milestone_terms(legal_entity="GB01", currency="GBP", po_number="PO-1", tax={"tax_code": "GB-STD"})
    case = await blocked(desk, british, "customer_unknown")
    detail = desk.reads.case(case)
    assert detail is not None
    assert detail.form is not None
    assert not detail.form.correctable
    assert detail.form.where == "Create the customer in master data; it is mended in the ERP's master data."
    with pytest.raises(InvalidInput, match="ERP's master data"):
        desk.people.corrections.submit(MASTER_DATA, case, CODE, "not here")


async def test_nobody_moves_a_contract_out_of_their_reach(desk: Desk) -> None:
    case = await blocked(desk, milestone_terms(legal_entity="XX99"), "legal_entity_unknown")
    everywhere = person("md@example.com", ["operator:master_data"])
    with pytest.raises(InvalidInput, match="legal_entity"):
        desk.people.corrections.submit(everywhere, case, {"legal_entity": "YY00"}, "no such entity")
    nearby = person("md-uk@example.com", ["operator:master_data@GB01"])
    with pytest.raises(NotFound):
        desk.people.corrections.submit(nearby, case, {"legal_entity": "GB01"}, "mine now")
    desk.people.corrections.submit(everywhere, case, {"legal_entity": "US01"}, "a typing mistake")
    await desk.run()
    assert await desk.states() == {"C-1": "active"}


async def test_what_a_clm_sent_since_is_not_overwritten_unread(desk: Desk) -> None:
    """The form shows both dates and gives both back: the one that was amended meanwhile would be taken back."""
    case = await blocked(desk, milestone_terms(ends_on="2026-01-01"), "end_before_start")
    seen = desk.reads.case(case)
    assert seen is not None
    assert seen.form is not None
    given = {**seen.form.values, "ends_on": "2027-03-31"}
    amendment = {
        "contract_id": "C-1", "revision": 2, "changes": {"starts_on": "2026-04-01"},
        "amendment": {"number": 1, "executed_at": "2026-03-03T09:00:00Z"},
    }  # fmt: skip
    await desk.arrive(cloud_event("e2", "amended.v1", amendment))
    for _ in range(2):  # before its run and after it
        with pytest.raises(Changed):
            desk.people.corrections.submit(LEGAL, case, given, "as signed", version=seen.row.version)
        await desk.run()
    again = desk.reads.case(case)
    assert again is not None
    assert again.form is not None
    assert again.form.values["starts_on"] == "2026-04-01"
    given = {**again.form.values, "ends_on": "2027-03-31"}
    desk.people.corrections.submit(LEGAL, case, given, "as signed", version=again.row.version)
    await desk.run()
    (project,) = desk.erp.of(Kind.PROJECT)
    assert (project.fields["starts_on"], project.fields["ends_on"]) == ("2026-04-01", "2027-03-31")


async def test_what_else_made_the_contract_due_is_no_new_event(desk: Desk) -> None:
    case = await blocked(desk, milestone_terms(tax={}), "tax_code_missing")
    async with desk.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.contract SET wanted_rev = wanted_rev + 2"))
    desk.people.corrections.submit(TAX, case, CODE, "the usual code", version=1)


async def test_a_correction_of_another_function_does_not_stand_in_the_way(desk: Desk) -> None:
    tax = await blocked(desk, milestone_terms(tax={}, ends_on="2026-01-01"), "tax_code_missing")
    dates = await desk.case_id("end_before_start")
    desk.people.corrections.submit(TAX, tax, CODE, "the usual code", version=1)
    desk.people.corrections.submit(LEGAL, dates, {"ends_on": "2027-03-31"}, "as signed", version=1)
    await desk.run()
    assert await desk.states() == {"C-1": "active"}
