"""Which events a rule tells, and in which words: pure."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from sync_core.delivery.notices import Note, Told, select
from sync_core.delivery.wording import compose, plain
from sync_core.errors import Function
from sync_core.estate.delivery import PREFIX, Notify, Severity, Word
from tests.delivery.support import BASE
from tests.rows import NOW

EVERYTHING = Notify("all", "X", tuple(Word))


def contract(**given: object) -> dict[str, Any]:
    return {"id": "C-1", "customer": {"code": "N", "name": "Northwind"}, "project": "P-1", "test": False,
            "value": {"amount": "900.00", "currency": "GBP"}} | given  # fmt: skip


def note(kind: str, subject: str = "exception/1", *, seq: int = 1, severity: Severity = Severity.LOW,
         function: str | None = "tax", data: dict[str, Any] | None = None, at: datetime = NOW) -> Note:  # fmt: skip
    page = {"links": {"page": f"{BASE}/contract?id=1"}}
    return Note(seq, f"{PREFIX}{kind}", subject, severity, function, at, page | (data or {}))


def case(number: int = 1, cause: str = "tax_profile_missing", money: str | None = "100.00", **given: Any) -> Note:
    exposure = {"amount": money or "70.00", "currency": "USD" if money else "BRL"}
    exception = {"cause": cause, "exposure": exposure, "exposure_reporting": exposure if money else None,
                 "bill_on": "2026-12-01"}  # fmt: skip
    more = given.pop("data", {})
    kind = given.pop("kind", "exception.opened.v1")
    data = {"exception": exception, "contract": contract(id=f"C-{number}")} | more
    return note(kind, f"exception/{number}", seq=number, data=data, **given)


def lane(kind: str, seq: int = 1, **data: object) -> Note:
    return note(f"lane.{kind}.v1", "lane/cloud", seq=seq, function="integration",
                data={"lane": "cloud", "reason": "connection refused", "waiting": 12} | data)  # fmt: skip


def chosen(*notes: Note, rule: Notify = EVERYTHING, told: dict[str, Told] | None = None) -> list[Note]:
    return select(notes, rule, told or {}, now=NOW)


def test_a_rule_tells_its_words_of_its_function_from_its_severity_on() -> None:
    rule = Notify("tax", "X", (Word.EXCEPTION, Word.LANE), function=Function.TAX, min_severity=Severity.MEDIUM)
    ours = case(1, severity=Severity.HIGH)
    others = [
        case(2, severity=Severity.LOW), case(3, severity=Severity.HIGH, function="legal"),
        case(4, kind="exception.overdue.v1", severity=Severity.HIGH),
        case(5, "approval_needed", severity=Severity.HIGH),
        case(6, severity=Severity.HIGH, data={"contract": contract(test=True)}),
    ]  # fmt: skip
    assert chosen(ours, *others, rule=rule) == [ours]


def test_what_is_over_before_it_could_be_told_is_not_told() -> None:
    over = note("exception.resolved.v1", "exception/1", seq=3)
    back = case(1, kind="exception.reopened.v1")
    assert chosen(case(1), case(2), over) == [case(2)]
    assert chosen(case(1), note("exception.decided.v1", "exception/1", seq=3), back) == [back]


def test_a_subject_is_told_once_a_day_unless_it_grew_worse() -> None:
    before = {"exception exception/1": Told(f"{PREFIX}exception.opened.v1", Severity.MEDIUM, NOW - timedelta(hours=23))}
    assert chosen(case(1, severity=Severity.MEDIUM), told=before) == []
    worse = case(1, severity=Severity.HIGH)
    assert chosen(worse, told=before) == [worse]
    before["exception exception/1"] = Told("x", Severity.HIGH, NOW - timedelta(hours=24))
    assert len(chosen(case(1), told=before)) == 1
    assert len(chosen(case(1, kind="exception.overdue.v1"), told=before)) == 1, "that it is overdue is another matter"


def test_a_decision_is_news_to_who_was_asked_and_another_request_after_it_too() -> None:
    def approval(kind: str) -> Note:
        return note(f"approval.{kind}.v1", data={"of": "provisioning", "contract": contract()})

    def told(kind: str) -> dict[str, Told]:
        return {"approval exception/1": Told(f"{PREFIX}approval.{kind}.v1", Severity.LOW, NOW - timedelta(hours=1))}

    for before, after in (("requested", "decided"), ("decided", "requested")):
        assert chosen(approval(after), told=told(before)) == [approval(after)]
        assert chosen(approval(before), told=told(before)) == []


def test_an_erp_is_told_of_when_its_state_is_not_the_one_told_last() -> None:
    stopped, restored = lane("stopped"), lane("restored", 2)
    said = {"lane lane/cloud": Told(stopped.type, Severity.HIGH, NOW - timedelta(days=9))}
    assert chosen(stopped) == [stopped]
    assert chosen(stopped, restored) == [], "over before anybody was told"
    assert chosen(restored, told=said) == [restored]
    assert chosen(restored, lane("stopped", 3), told=said) == [], "stopped still"


def test_a_digest_counts_by_cause_with_money_and_names_the_largest() -> None:
    notes = [case(n, money=f"{n * 100}.00") for n in range(1, 8)]
    notes += [case(20, "po_missing", money=None, function="finance_operations"), case(1, kind="exception.overdue.v1")]
    text = compose(notes, base_url=BASE)
    assert text.title == "Tieline: 8 exceptions, 2,800.00 USD + 70.00 BRL, 1 exception overdue, 100.00 USD"
    assert text.body.split("\n") == [
        "8 exceptions, 2,800.00 USD + 70.00 BRL",
        "  7 x tax profile missing, with tax, 2,800.00 USD",
        "  1 x po missing, with finance operations, 70.00 BRL",
        "",
        "1 exception overdue, 100.00 USD",
        "  1 x tax profile missing, with tax, 100.00 USD",
        "",
        "Largest:",
        *(f"  C-{n} Northwind: tax profile missing, bills 2026-12-01, {n}00.00 USD" for n in (7, 6, 5, 4, 3)),
        "",
        f"{BASE}/exceptions",
    ]


def test_many_causes_and_many_lines_end_in_a_count() -> None:
    text = compose([case(n, f"cause_{n}") for n in range(15)], base_url=BASE)
    assert "  and 5 more causes" in text.body
    text = compose([note("project.activated.v1", f"contract/{n}", data={"contract": contract()}) for n in range(15)],
                   base_url=BASE)  # fmt: skip
    assert "  and 5 more" in text.body
    assert text.title == "Tieline: 15 contracts billable, 13,500.00 GBP"


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (lane("stopped"), "ERP cloud is stopped, connection refused (12 contracts wait, none is lost)"),
        (lane("stopped", needs_person=True), "ERP cloud is stopped, somebody must act: connection refused"),
        (lane("restored"), "ERP cloud answers again; its contracts go on"),
        (note("event.quarantined.v1", data={"signature": True, "contract_id": "C-9", "reason": "no such version"}),
         "a signature of C-9: no such version"),
        (note("renewal.due.v1", data={"contract": contract(), "notice_by": "2026-12-24"}),
         "C-1 Northwind, notice by 2026-12-24"),
        (note("amendment.late.v1", data={"contract": contract(), "bill_run": "2026-11-30T09:00:00+00:00"}),
         "C-1 Northwind, bill run 2026-11-30"),
        (note("replay.finished.v1", data={"replay": {"id": 7, "title": "t"}, "result": {"verified": 3, "failed": 0}}),
         "replay 7 t: 3 verified"),
        (note("approval.requested.v1", data={"of": "provisioning", "why": "over 1,000", "contract": contract()}),
         "C-1 Northwind: to be decided, over 1,000"),
        (note("approval.decided.v1", data={"of": "replay", "replay": {"id": 7, "title": "t"}, "decision": "refused",
                                           "by": "ada@example.com"}), "replay 7 t: refused by ada(at)example.com"),
    ],
)  # fmt: skip
def test_each_matter_has_its_line(one: Note, words: str) -> None:
    text = compose([one], base_url=BASE)
    assert words in text.body
    assert text.body.endswith(f"{BASE}/contract?id=1")
    assert "\n" not in text.title


def test_what_others_wrote_does_no_harm() -> None:
    nasty = (
        "x\r\nBcc: all@evil.example <!channel> @here *b* `c` [d](https://evil.example) www.evil.example \u202etxt\x00"
    )
    made = plain(nasty, 500)
    assert not set(made) & set("\r\n<>@*`[]\x00\u202e")
    assert "://" not in made
    assert "www.evil" not in made
    named = case(1, data={"contract": contract(id=nasty, customer={"name": nasty})})
    whole = compose([named, lane("stopped", reason=nasty)], base_url=BASE)
    assert "@" not in whole.title + whole.body
    assert "Bcc:" in whole.body, "it is shown, as part of a line"
    assert not any(line.startswith("Bcc") for line in whole.body.split("\n"))
    assert len(plain("y" * 1000)) == 80
