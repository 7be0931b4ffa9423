"""The group commit: the outcomes of many contracts in one statement and one transaction.

A contract costs a fraction of a commit this way. Rows are locked in (source, external_id) order, as intake
locks them; each is fenced by its lease token, so a worker that lost its lease changes nothing, while its runs
and operations are kept, because they did happen.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.cases.grouping import group_key, normalised
from sync_core.cases.ownership import CAUSES, Arises
from sync_core.cases.sla import due, severity
from sync_core.checks import Finding
from sync_core.desired import Found, Kind
from sync_core.engine.look import local_day
from sync_core.engine.outcome import Done, Outcome
from sync_core.estate.estate import Estate
from sync_core.journal.progress import Step
from sync_core.journal.sql import STORE
from sync_core.keys import ContractId
from sync_core.lanes import refusals_sql
from sync_core.life.books import invoiced
from sync_core.life.life_row import life_row
from sync_core.life.summary import DRAFT_PRIORITY, Summary, summarise
from sync_core.money import worth
from sync_core.moving import observed_sql, placement_sql
from sync_core.policy.rule import Ownership

Row = dict[str, Any]

# jsonb holds no NUL, an ERP's words may; a backslash before it would make it a plain text about NULs.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

# Written the first time only; a contract may be active, blocked and unblocked again and again.
ONCE = frozenset({Step.SIGNED, Step.CAPTURED, Step.VALIDATED, Step.PROJECT_CREATED, Step.BILLING_SET_UP})

_SUMMARY = tuple(f.name for f in fields(Summary))


async def store(
    conn: AsyncConnection, outcomes: Sequence[Outcome], *, worker: int, estate: Estate, now: datetime
) -> set[ContractId]:
    """Write all outcomes; the contracts whose lease still was ours. The caller commits.

    One bad outcome fails the statement: the caller then stores the halves apart (see sync_core/engine/commit.py).
    """
    written = {
        "contracts": [_contract(o, estate, now) for o in outcomes],
        "runs": [_run(o) for o in outcomes if not o.mere_recheck],
        "operations": [row for o in outcomes if not o.mere_recheck for row in _operations(o)],
        "crosswalk": [row for o in outcomes for row in _crosswalk(o)],
        "progress": [row for o in outcomes if not o.mere_recheck for row in _progress(o, now)],
        "cases": [row for o in outcomes for row in _cases(o, estate, now)],
        "items": [row for o in outcomes for row in _item(o)],
    }
    bound = {"doc": document(written), "now": now, "worker": worker, "policy": estate.rules_version}
    kept = {ContractId(row.contract_id) for row in await conn.execute(STORE, bound)}
    ours = [o for o in outcomes if o.claimed.contract_id in kept]
    for beside in (placement_sql, observed_sql, refusals_sql):
        await beside.store(conn, ours, now=now)
    return kept


def document(value: object) -> str:
    """JSON as PostgreSQL takes it; decimals as texts."""
    return _NUL.sub("\\1\ufffd", orjson.dumps(value, default=_decimal).decode())


def _decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no value of the journal")


def _contract(o: Outcome, estate: Estate, now: datetime) -> Row:
    summary = summarise(o.contract.terms, estate, on=now.date()) if o.contract and o.contract.terms else None
    kept = o.claimed.replay.was if o.claimed.replay and o.name == "skipped" else None
    return {
        "id": o.claimed.contract_id,
        "token": o.claimed.lease_token,
        "seen": o.seen_rev,
        "state": o.state,
        "since": o.since,
        "next_due": o.next_due,
        "refund": o.refund,
        "reset": o.name in ("converged", "blocked", "waiting"),
        "settled": o.settled,
        "unclean": o.unclean,
        "billable": o.read_back and o.project_ref is not None and not o.suspended,
        "project_ref": o.project_ref,
        "error": kept.error if kept else o.reason,
        "error_class": kept.error_class if kept else _error_class(o),
        "signed_at": o.contract.signed_at if o.contract else None,
        "revision": o.contract.revision if o.contract else None,
        "read_back": o.read_back,
        "said": dict(o.values) if o.values is not None else None,
        "checked": sorted(o.verdict),
        **(_summary_row(summary) if summary else {}),
        **({"priority": DRAFT_PRIORITY} if o.contract and o.contract.signed_at is None else {}),
        **(asdict(life_row(o.contract, local_day(o.contract, estate, now))) if o.contract else {}),
        **({"lane": o.placed} if o.placed else {}),
    }


def _error_class(o: Outcome) -> str | None:
    return o.error_class or (o.findings[0].error_class if o.findings else None)


def _item(o: Outcome) -> Iterator[Row]:
    """What the run came to for the replay that it carries."""
    if o.claimed.replay is not None:
        yield {
            "id": o.claimed.contract_id,
            "replay_id": o.claimed.replay.replay_id,
            "state": o.end.state if o.end else None,
            "words": o.end.words if o.end else o.reason or "",
            "sent": o.sent,
            "refund": o.refund,
            "run_id": o.run_id,
        }


def _summary_row(summary: Summary) -> Row:
    return {name: getattr(summary, name) for name in _SUMMARY}


def _run(o: Outcome) -> Row:
    return {
        "run_id": o.run_id,
        "id": o.claimed.contract_id,
        "token": o.claimed.lease_token,
        "rev": o.seen_rev,
        "lane": o.lane or o.claimed.lane,
        "outcome": o.name,
        "state": o.state or o.claimed.state,
        "digest": o.digest,
        "correlation_id": o.correlation_id,
        "trace_id": o.trace_id,
        "started_at": o.started_at,
        "finished_at": max([o.started_at, *(d.finished_at for d in o.operations)]),
        "error_class": o.error_class,
        "error": o.error or o.note,
        "calls": [
            [c.operation, round(c.duration_s * 1000, 3), c.outcome, c.status, c.started_at, c.write] for c in o.calls
        ],
    }


def _operations(o: Outcome) -> Iterator[Row]:
    for step, done in enumerate(o.operations):
        yield {
            "run_id": o.run_id,
            "step": step,
            "id": o.claimed.contract_id,
            "system": o.lane or o.claimed.lane,
            **_done(done),
        }


def _done(done: Done) -> Row:
    return {
        "action": done.action,
        "kind": done.kind,
        "key": done.key,
        "ref": done.ref,
        "status": done.status,
        "before": done.before,
        "after": done.after,
        "started_at": done.started_at,
        "finished_at": done.finished_at,
        "span_id": done.span_id,
        "error_class": done.error_class,
        "error": done.error,
    }


def _crosswalk(o: Outcome) -> Iterator[Row]:
    for found in o.confirmed:
        yield {
            "id": o.claimed.contract_id,
            "system": o.lane or o.claimed.lane,
            "kind": found.kind,
            "key": found.key,
            "ref": found.ref,
            "fields": found.fields,
            "agreed": o.agreed.get((found.kind, found.key)),
            "invoiced": invoiced(found) if found.billed and found.kind is Kind.MILESTONE else None,
            "owner": None if found.kind.shared else o.claimed.contract_id,
            "state": "confirmed" if found.active else "closed",
        }


def _progress(o: Outcome, now: datetime) -> Iterator[Row]:
    amendment = max((a.number for a in o.contract.amendments), default=None) if o.contract else None
    for step, at in o.steps:
        once = step in ONCE
        yield {
            "id": o.claimed.contract_id,
            "step": step,
            "at": min(at, now),
            "once": once,
            "amendment": None if once else amendment,
        }


def _cases(o: Outcome, estate: Estate, now: datetime) -> Iterator[Row]:
    terms = o.contract.terms if o.contract else None
    summary = summarise(terms, estate, on=now.date()) if terms else None
    # By function, because an exception that reopens stays with whom people gave it.
    entity = summary.legal_entity if summary else ""
    found = {f.cause: f for f in (*o.findings, *o.tasks)}
    usual = _dues(estate, None, entity, now) if found else {}
    for finding in found.values():
        amount, reporting = _money(o, finding, summary, estate, now)
        rule = estate.owner_of(terms, finding.cause) if terms else None
        step = arose_at(o, finding.cause)
        yield {
            "id": o.claimed.contract_id,
            "cause": finding.cause,
            "error_class": finding.error_class,
            "function": (rule.function if rule else None) or finding.function,
            "severity": severity(reporting, estate),
            "message": finding.message,
            "operation": step,
            "group_key": _group(o, finding, step, summary, estate),
            "exposure": amount,
            "currency": summary.currency if summary else "",
            "exposure_reporting": reporting,
            "bill_on": summary.bill_on if summary else None,
            "dues": _dues(estate, rule, entity, now) if rule else usual,
            "detail": {"differences": [one.stored for one in finding.differences]} if finding.differences else {},
            "again": 0 if o.mere_recheck else 1,
        }


def _dues(estate: Estate, rule: Ownership | None, entity: str, now: datetime) -> Row:
    functions = {*estate.owners, *((rule.function,) if rule and rule.function else ())}
    hours = rule.sla_working_hours if rule else None
    return {function.value: due(estate, function, entity, now, hours=hours) for function in functions}


def arose_at(o: Outcome, cause: str) -> str:
    """The step of the run: the operation that failed, as "project.create", else what the cause's own step is called."""
    known = CAUSES.get(cause)
    if known is not None and known.arises is not Arises.WRITE:
        return known.arises
    failed = next((done for done in reversed(o.operations) if done.status == "failed"), None)
    return f"{failed.kind}.{failed.action}" if failed else Arises.WRITE


def _group(o: Outcome, finding: Finding, step: str, summary: Summary | None, estate: Estate) -> str:
    names = [o.claimed.external_id]
    names += [summary.customer_code, summary.customer_name, summary.title] if summary else []
    entity = summary.legal_entity if summary else ""
    message = normalised(finding.message, names=names)
    return group_key(finding.error_class, step, entity, message, estate.rules_version)


def exposure(o: Outcome, summary: Summary | None, reporting: str) -> tuple[Decimal, Decimal | None]:
    """Money that waits for this contract, in its currency and the reporting currency.

    Before its first activation all of its value; later the distance between the value the ERP confirmed and
    the value agreed (docs: "Revenue-impacting changes stuck").
    """
    if summary is None:
        return Decimal(0), None
    value = summary.value
    if o.claimed.first_active_at is not None:
        held = project_value(o.confirmed) or o.held_value
        if held is not None or o.billed_before:
            value = abs(summary.value - (held or Decimal(0)) - o.billed_before)
    if summary.value_reporting is None or not summary.value:
        return value, summary.value_reporting
    return value, worth(summary.value_reporting * value / summary.value, reporting)


def _money(
    o: Outcome, finding: Finding, summary: Summary | None, estate: Estate, now: datetime
) -> tuple[Decimal, Decimal | None]:
    """What the finding says that it is about, or all that waits for the contract."""
    if finding.money is None or summary is None:
        return exposure(o, summary, estate.group.reporting_currency)
    converted = estate.to_reporting(finding.money, summary.currency, now.date())
    return finding.money, worth(converted, estate.group.reporting_currency)


def project_value(found: Sequence[Found]) -> Decimal | None:
    for item in found:
        if item.kind is Kind.PROJECT and item.fields.get("value") is not None:
            return Decimal(str(item.fields["value"]))
    return None
