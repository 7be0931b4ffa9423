"""Test only: contracts with the events that made them, and what an ERP would hold of each as confirmed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from sync_core.derive import derive
from sync_core.desired import fields_of
from sync_core.events import Event, understand
from tests import rows
from tests.folds import fold
from tests.reads.handmade import add_contract, insert

Told = tuple[str, dict[str, Any]]  # such as ("amended", {...}): the type and what it says beside contract and revision
BEFORE = rows.NOW - timedelta(days=40)


def terms(**changes: object) -> dict[str, Any]:
    """Of 100 USD in two milestones, none of them due soon."""
    given: dict[str, Any] = {
        "title": "Rollout", "customer": {"code": "CU-1", "name": "Northwind"}, "legal_entity": "US01",
        "service_line": "consulting", "geography": "AMER", "currency": "USD", "value": "100",
        "starts_on": "2026-10-01", "ends_on": "2027-09-30",
        "billing": {"kind": "milestones", "payment_terms": "NET30"}, "po_number": "PO-1",
        "tax": {"tax_code": "STD"}, "milestones": [milestone("a", 40, "2027-03-01"), milestone("b", 60, "2027-06-01")],
    }  # fmt: skip
    return given | changes


def milestone(key: str, amount: object, due_on: str) -> dict[str, str]:
    return {"key": key, "name": key.upper(), "amount": str(amount), "due_on": due_on}


def signed(**changes: object) -> Told:
    return "signed", {"signed_at": BEFORE.isoformat(), "terms": terms(**changes)}


def amended(number: int, **changes: object) -> Told:
    header = {"number": number, "executed_at": (BEFORE + timedelta(days=number)).isoformat()}
    return "amended", {"amendment": header, "changes": changes}


def event_of(name: str, index: int, told: Told, at: datetime) -> Event:
    kind, said = told
    data = {"contract_id": name, "revision": index + 1} | said
    event_type = f"com.tieline.contract.{kind}.v1"
    payload = understand(event_type, orjson.dumps(data))
    return Event(rows.SOURCE, f"{name}-{index}", event_type, at, payload)


def told(
    engine: sa.Engine, name: str, story: list[Told], *, confirmed: int = 0, days_ago: float = 2.0,
    over_time: bool = False, **columns: object,
) -> int:  # fmt: skip
    """A contract of which its ERP confirmed the first `confirmed` events; the later ones came `days_ago`. `over_time`:
    the ERP holds dated prices.
    """
    at = rows.NOW - timedelta(days=days_ago)
    moments = [BEFORE + timedelta(minutes=n) if n < confirmed else at + timedelta(minutes=n) for n in range(len(story))]
    events = [event_of(name, n, one, moments[n]) for n, one in enumerate(story)]
    agreed = fold(events)
    assert agreed.terms is not None
    ready = confirmed > 0
    stood = confirmed == len(story)
    values: dict[str, object] = {
        "external_id": name, "legal_entity": agreed.terms.legal_entity, "currency": agreed.terms.currency,
        "value": agreed.terms.value, "billing": agreed.terms.billing.kind.value, "test": agreed.terms.test,
        "signed_at": moments[0], "first_active_at": BEFORE + timedelta(hours=1) if ready else None,
        "state": "active" if stood else "waiting", "wanted_rev": len(story), "done_rev": confirmed, "signed": 24,
    }  # fmt: skip
    given = values | columns
    contract_id = add_contract(engine, **given)  # type: ignore[arg-type]
    for index, (kind, said) in enumerate(story):
        data = orjson.dumps({"contract_id": name, "revision": index + 1} | said).decode()
        insert_event(engine, events[index], f"com.tieline.contract.{kind}.v1", name, data)
    if ready:
        _confirm(engine, contract_id, fold(events[:confirmed]), over_time=over_time)
    return contract_id


def insert_event(engine: sa.Engine, event: Event, event_type: str, name: str, data: str) -> None:
    text = """INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by,
        correlation_id, data, attributes) VALUES (:source, :id, :type, :name, :at, :at, 'webhook', 'k',
        CAST(:data AS jsonb), '{}')"""
    values = {"source": event.source, "id": event.id, "type": event_type, "name": name, "at": event.occurred_at,
              "data": data}  # fmt: skip
    with engine.begin() as conn:
        conn.execute(sa.text(text), values)


def _confirm(engine: sa.Engine, contract_id: int, contract: Any, *, over_time: bool) -> None:
    at = BEFORE + timedelta(hours=1)
    for wanted in derive(contract, rows.estate(), on=at.date()).priced(over_time=over_time).objects:
        if not wanted.kind.shared:
            hold(engine, contract_id, wanted.kind, wanted.key, fields_of(wanted), at)
    with engine.begin() as conn:
        conn.execute(sa.text("""
            INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at,
                                  finished_at, recorded_at)
            VALUES (gen_random_uuid(), :id, 1, 'cloud', 'converged', 'active', 'k', :at, :at, :at)"""),
            {"id": contract_id, "at": at})  # fmt: skip


def hold(engine: sa.Engine, contract_id: int, kind: str, key: str, fields: Mapping[str, object], at: datetime) -> None:
    with engine.begin() as conn:
        conn.execute(sa.text("""
            INSERT INTO core.crosswalk (system, kind, business_key, state, ref, contract_id, fields, confirmed_at)
            VALUES ('cloud', :kind, :key, 'confirmed', :key, :id, CAST(:fields AS jsonb), :at)"""),
            {"kind": str(kind), "key": key, "id": contract_id, "fields": orjson.dumps(dict(fields)).decode(),
             "at": at})  # fmt: skip


def fact(engine: sa.Engine, contract_id: int | None, kind: str, ref: str, amount: object, **columns: object) -> None:
    """An invoice, payment or posting of revenue, as the ERP reports it."""
    values: dict[str, object] = {
        "system": "cloud", "kind": kind, "ref": ref, "project_key": "p", "contract_id": contract_id,
        "amount": str(amount), "currency": "USD", "status": "issued", "occurred_on": rows.NOW.date(),
        "recorded_at": rows.NOW,
    }  # fmt: skip
    insert(engine, "financial_fact", "", **(values | columns))


def reporting(engine: sa.Engine, system: str, *kinds: str) -> None:
    """An ERP says what it reports; without `kinds` revenue too."""
    with engine.begin() as conn:
        conn.execute(sa.text("""
            INSERT INTO core.financial_source (system, reports, said_at) VALUES (:system, :kinds, :now)
            ON CONFLICT (system) DO UPDATE SET reports = excluded.reports"""),
            {"system": system, "kinds": list(kinds) or ["invoice", "payment", "revenue"], "now": rows.NOW})  # fmt: skip
