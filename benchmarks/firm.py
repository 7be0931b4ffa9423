"""The firm that the provisioning benchmark works for: its estate, its contracts and the ERPs' master data.

One legal entity per ERP. Customers and labour categories already stand in the ERPs, so that every contract costs
the same seven calls: look, project, two kinds of parts side by side, look, activate, look.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson

from sync_core.estate.estate import Estate, load
from sync_core.intake.cloudevents import CloudEvent, parse_structured

SOURCE = "urn:bench:clm"
CUSTOMERS = 40
_SIGNED_AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
_GRADES = {"SR": ("Senior consultant", "240.00"), "MR": ("Consultant", "160.00"), "JR": ("Analyst", "110.00")}

_GROUP = """
[group]
name = "Bench Partners"
reporting_currency = "USD"

[[clm]]
name = "clm"
source = "urn:bench:clm"
kind = "sandbox"

[[revenue]]
recognition = "point_in_time"
account = "4000"
category = "REV-MILESTONE"
billing = "milestones"

[[revenue]]
recognition = "as_invoiced"
account = "4100"
category = "REV-TM"
billing = "time_and_materials"
"""


def lane_of(place: int) -> str:
    return f"cloud{place + 1}"


def estate(erps: int, *, slots: int) -> Estate:
    """`slots` calls may be in flight per ERP, over all workers."""
    parts = [_GROUP]
    for place in range(erps):
        erp = lane_of(place)
        parts.append(f'[[erp]]\nname = "{erp}"\nkind = "sandbox_cloud"\nmax_in_flight = {slots}\n')
        parts.append(
            f'[[entity]]\ncode = "US{place:02d}"\nname = "Bench LLC {place}"\ncountry = "US"\ncurrency = "USD"\n'
            f'timezone = "America/New_York"\nerp = "{erp}"\n'
        )
    return load("\n".join(parts))


def master_data(place: int) -> dict[str, list[dict[str, str]]]:
    """What the ERP in this place holds before the first contract (shape: app/sandbox/cloud/masterdata.py)."""
    entity = f"US{place:02d}"
    return {
        "legal_entities": [{"code": entity, "name": f"Bench LLC {place}", "currency": "USD"}],
        "tax_codes": [{"legal_entity": entity, "code": "US-CA-STD", "rate": "8.25"}],
        "payment_terms": [{"code": "NET30", "days": "30"}],
        "revenue_categories": [{"code": "REV-MILESTONE", "account": "4000"}, {"code": "REV-TM", "account": "4100"}],
        "customers": [
            {"code": f"CUST-{n:03d}", "name": f"Customer {n}", "tax_registration": f"US-{n:05d}", "country": "US"}
            for n in range(CUSTOMERS)
        ],
        "labour_categories": [
            {"code": code, "name": name, "revenue_category": "REV-TM"} for code, (name, _) in _GRADES.items()
        ],
    }


def signed_event(contract_id: str, number: int, erps: int) -> CloudEvent:
    """The signature of one contract; `number` alone decides what is in it. Half are milestones, half rate cards."""
    data = {
        "contract_id": contract_id,
        "revision": 1,
        "signed_at": _SIGNED_AT.isoformat(),
        "terms": _terms(number, entity=f"US{number % erps:02d}"),
    }
    event = {
        "specversion": "1.0",
        "id": f"{contract_id}-signed",
        "source": SOURCE,
        "type": "com.tieline.contract.signed.v1",
        "subject": contract_id,
        "time": _SIGNED_AT.isoformat(),
        "correlationid": contract_id,
        "datacontenttype": "application/json",
        "data": data,
    }
    return parse_structured(orjson.dumps(event))


def _terms(number: int, *, entity: str) -> dict[str, object]:
    value = Decimal(20_000 + number % 977 * 100)
    customer = number % CUSTOMERS
    milestones = number // 2 % 2 == 0
    parts = _milestones(number, value) if milestones else {"rates": _rates()}
    return {
        "title": f"Statement of work {number}",
        "customer": {"code": f"CUST-{customer:03d}", "name": f"Customer {customer}", "country": "US"},
        "legal_entity": entity,
        "service_line": "consulting",
        "geography": "north_america",
        "currency": "USD",
        "value": str(value),
        "starts_on": "2026-04-01",
        "ends_on": "2027-12-31",
        "billing": {
            "kind": "milestones" if milestones else "time_and_materials",
            "payment_terms": "NET30",
            "not_to_exceed": None if milestones else str(value),
        },
        "lines": [{"key": "1", "description": "Services", "amount": str(value)}],
        "tax": {"tax_code": "US-CA-STD"},
        "po_number": f"PO-{number}",
        **parts,
    }


def _milestones(number: int, value: Decimal) -> dict[str, object]:
    first = (value / 4).quantize(Decimal("0.01"))
    amounts = {"design": first, "build": first, "golive": value - 2 * first}
    due = {name: _SIGNED_AT.date() + timedelta(days=400 + number % 90 + 60 * n) for n, name in enumerate(amounts)}
    return {
        "milestones": [
            {"key": name, "name": name.title(), "amount": str(amount), "due_on": due[name].isoformat(), "line": "1"}
            for name, amount in amounts.items()
        ]
    }


def _rates() -> list[dict[str, object]]:
    return [
        {"category": code, "name": name, "rate": rate, "planned_hours": "120", "line": "1"}
        for code, (name, rate) in _GRADES.items()
    ]
