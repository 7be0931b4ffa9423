"""Test only: what was invoiced and disputed, object by object from the raw rows, with nothing of the product."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from tests.metrics.by_hand import begins

_STATEMENTS = {
    "contracts": "SELECT * FROM core.contract ORDER BY contract_id",
    "facts": "SELECT * FROM core.financial_fact ORDER BY seq",
    "amendments": "SELECT * FROM core.event WHERE type LIKE '%.amended.v1'",
    "runs": "SELECT * FROM core.run WHERE outcome = 'converged' AND state = 'active'",
    "history": "SELECT * FROM core.case_history JOIN core.case USING (case_id) ORDER BY occurred_at",
}  # fmt: skip
_KNOWN_CAUSES = ("", "rate", "milestone", "po", "tax", "entity", "amendment")  # the customer says nothing else


@dataclass(frozen=True)
class Invoice:
    """What an invoice is, or what disputes of none are: `kind` "unknown"."""

    kind: str
    test: bool
    issued_on: date
    amount: Decimal
    currency: str
    disputes: int  # within 60 days
    late: bool  # all of its disputes came after
    foreign: int  # disputes in another currency, whenever they came
    disputed: Decimal
    state: str
    cause: str
    mismatch: str

    @property
    def week_ends(self) -> date:
        return self.issued_on + timedelta(days=6 - self.issued_on.weekday())


def of_kind(found: Iterable[Invoice], kind: str) -> list[Invoice]:
    return [one for one in found if one.kind == kind]


Row = dict[str, Any]


def recounted(engine: sa.Engine, line: str | None) -> list[Invoice]:
    """Of all contracts of a service line, or of all there are."""
    with engine.connect() as conn:
        raw = {name: [dict(row._mapping) for row in conn.execute(sa.text(sql))] for name, sql in _STATEMENTS.items()}
    found: list[Invoice] = []
    for contract in raw["contracts"]:
        if line in (None, contract["service_line"]):
            found += _of_contract(contract, raw)
    return found


def _of_contract(contract: Row, raw: dict[str, list[Row]]) -> Iterable[Invoice]:
    facts = [row for row in raw["facts"] if row["contract_id"] == contract["contract_id"]]
    invoices, disputes = _objects(facts, "invoice"), _objects(facts, "dispute")
    for ref, rows in invoices.items():
        own = [rows for rows in disputes.values() if rows[-1]["invoice_ref"] == ref]
        yield _invoice(contract, rows, own, raw)
    unknown: dict[str, list[Row]] = {}
    for rows in disputes.values():
        if rows[-1]["invoice_ref"] not in invoices:
            unknown.setdefault(rows[-1]["invoice_ref"], []).append(rows[0])
    for alike in unknown.values():
        first = min(row["occurred_on"] for row in alike)
        yield Invoice("unknown", contract["test"], first, Decimal(0), "", 0, False, 0, Decimal(0), "", "", "")


def _objects(rows: Sequence[Row], kind: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["kind"] == kind:
            found.setdefault(row["ref"], []).append(row)
    return found


def _first_day(rows: Sequence[Row]) -> date:
    days = [row["occurred_on"] for row in rows if row["status"] != "draft"] or [rows[-1]["occurred_on"]]
    first: date = min(days)
    return first


def _invoice(
    contract: Row, rows: Sequence[Row], disputes: Sequence[Sequence[Row]], raw: dict[str, list[Row]]
) -> Invoice:
    last, issued_on = rows[-1], _first_day(rows)
    kind = (
        last["status"] if last["status"] in ("cancelled", "draft")
        else "credit note" if last["amount"] < 0
        else "re-bill" if last["invoice_ref"] is not None
        else "invoice"
    )  # fmt: skip
    in_time = sorted(
        ((_first_day(one), one[-1]) for one in disputes if _first_day(one) <= issued_on + timedelta(days=60)),
        key=lambda pair: (pair[0], pair[1]["ref"]),
    )
    money = sum((row["amount"] for _, row in in_time if row["currency"] == last["currency"]), Decimal(0))
    cause = next((row["cause"] for _, row in in_time if row["cause"]), "")
    mismatch = _mismatch(contract, issued_on, raw) if in_time and cause in _KNOWN_CAUSES else ""
    return Invoice(
        kind, contract["test"], issued_on, last["amount"], last["currency"], len(in_time),
        late=bool(disputes) and not in_time,
        foreign=sum(one[-1]["currency"] != last["currency"] for one in disputes),
        disputed=max(min(money, last["amount"]), Decimal(0)), state=_state([row["status"] for _, row in in_time]),
        cause=cause, mismatch=mismatch,
    )  # fmt: skip


def _state(statuses: Sequence[str]) -> str:
    for status, words in (("upheld", "upheld"), ("open", "open"), ("resolved", "settled")):
        if status in statuses:
            return words
    return "withdrawn" if statuses else ""


def _mismatch(contract: Row, on: date, raw: dict[str, list[Row]]) -> str:
    """Through the whole day: an amendment that was executed and in no ERP, then an exception that was open."""
    starts, ends = begins(on), begins(on + timedelta(days=1))
    for event in raw["amendments"]:
        executed = datetime.fromisoformat(event["data"]["amendment"]["executed_at"])
        if event["external_id"] != contract["external_id"] or executed >= starts:
            continue
        runs = [run for run in raw["runs"] if run["contract_id"] == contract["contract_id"]]
        if not any(run["started_at"] >= event["recorded_at"] and run["finished_at"] < ends for run in runs):
            return "amendment"
    open_since: dict[int, datetime] = {}
    for step in raw["history"]:
        if step["contract_id"] == contract["contract_id"] and step["occurred_at"] < ends:
            if step["what"] == "opened":
                open_since[step["case_id"]] = step["occurred_at"]
            else:
                open_since.pop(step["case_id"], None)
    return "po" if any(since < starts for since in open_since.values()) else ""
