"""Disputes that people report, for ERPs that know none: each about an invoice that an ERP has reported."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.commands.desk import Act
from sync_core.commands.files import Row, unique
from sync_core.errors import InvalidMoney
from sync_core.finance import DISPUTE_CAUSES, DISPUTE_STATES, IMPORT
from sync_core.money import Money
from sync_core.writeback import told

DISPUTE_COLUMNS: Final = ("dispute", "invoice", "raised_on", "status", "amount", "currency")

# An invoice reported before its project was known has no contract of its own; the project's key leads to it.
_INVOICES: Final = sa.text("""
    SELECT DISTINCT ON (f.system, f.ref) f.system, f.ref, f.project_key, f.amount, f.currency,
           min(f.occurred_on) OVER (PARTITION BY f.system, f.ref) AS issued_on, c.contract_id, c.legal_entity
    FROM core.financial_fact AS f
         LEFT JOIN core.crosswalk AS x ON f.contract_id IS NULL AND x.system = f.system AND x.kind = 'project'
              AND x.business_key = f.project_key
         JOIN core.contract AS c ON c.contract_id = coalesce(f.contract_id, x.contract_id)
    WHERE f.system = ANY(:erps) AND f.kind = 'invoice' AND f.ref = ANY(:refs)
    ORDER BY f.system, f.ref, f.seq DESC
""")
_HELD: Final = sa.text("""
    SELECT DISTINCT ON (f.ref) f.ref, f.invoice_ref, coalesce(c.legal_entity, '') AS legal_entity
    FROM core.financial_fact AS f LEFT JOIN core.contract AS c USING (contract_id)
    WHERE f.system = :import AND f.kind = 'dispute' AND f.ref = ANY(:refs) ORDER BY f.ref, f.seq DESC
""")
_STORE: Final = sa.text("""
    INSERT INTO core.financial_fact (system, kind, ref, project_key, contract_id, invoice_ref, amount, currency, status,
                                     occurred_on, recorded_at, of_system, cause)
    SELECT :import, 'dispute', e.ref, e.project_key, e.contract_id, e.invoice, e.amount, e.currency, e.status,
           e.raised_on, :now, e.erp, nullif(e.cause, '')
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS e(ref text, project_key text, contract_id bigint, invoice text,
         amount numeric, currency text, status text, raised_on date, erp text, cause text)
    WHERE row(e.status, e.amount, e.raised_on, nullif(e.cause, '')) IS DISTINCT FROM (
        SELECT row(n.status, n.amount, n.occurred_on, n.cause) FROM core.financial_fact AS n
        WHERE n.system = :import AND n.kind = 'dispute' AND n.ref = e.ref ORDER BY n.seq DESC LIMIT 1)
    ORDER BY e.ref
""")

Invoices = Mapping[str, Sequence[sa.Row[Any]]]  # by number, one an ERP


def store_disputes(act: Act, rows: Sequence[Row]) -> tuple[list[dict[str, str]], Callable[[], int]]:
    """What the rows say, and what stores the new ones and counts them. Raises InvalidInput for the first bad row."""
    refs = sorted({row.text("invoice") for row in rows})
    erps = sorted({*act.estate.erps, *(row.optional("erp") for row in rows)})
    found: dict[str, list[sa.Row[Any]]] = {}
    for invoice in act.conn.execute(_INVOICES, {"erps": erps, "refs": refs}):
        if act.actor.may(Permission.FINANCE_WRITE, entity=invoice.legal_entity):
            found.setdefault(invoice.ref, []).append(invoice)
    today = act.now.astimezone(ZoneInfo(act.estate.group.timezone)).date()
    pairs = [(row, _invoice_of(row, found)) for row in rows]
    said = [_said(row, invoice, today) for row, invoice in pairs]
    unique(rows, [one["ref"] for one in said], "dispute")
    _same_invoice(act, rows, said)
    stored = [
        {**one, "project_key": invoice.project_key, "contract_id": invoice.contract_id}
        for one, (_, invoice) in zip(said, pairs, strict=True)
    ]
    values = {"import": IMPORT, "rows": orjson.dumps(stored).decode(), "now": act.now}

    def store() -> int:
        new = act.conn.execute(_STORE, values).rowcount
        if new:
            contracts = sorted({invoice.contract_id for _, invoice in pairs})
            act.conn.execute(told.DUE, {"ids": contracts, "at": act.now + told.DEBOUNCE})
        return new

    return said, store


def _invoice_of(row: Row, found: Invoices) -> sa.Row[Any]:
    number, erp = row.text("invoice"), row.optional("erp")
    fitting = [one for one in found.get(number, ()) if erp in ("", one.system)]
    if not fitting:
        where = f" of {erp}" if erp else ""
        raise row.wrong(f"invoice: no {number!r}{where} was reported by an ERP for a contract of yours")
    if len(fitting) > 1:
        raise row.wrong(f"invoice: {number!r} is there in {', '.join(one.system for one in fitting)}; name it in erp")
    return fitting[0]


def _said(row: Row, invoice: sa.Row[Any], today: date) -> dict[str, str]:
    amount, raised_on = _amount(row, invoice), row.day("raised_on")
    if raised_on < invoice.issued_on:
        raise row.wrong(f"raised_on: {raised_on} is before the invoice's own day, {invoice.issued_on}")
    if raised_on > today:
        raise row.wrong(f"raised_on: {raised_on} is still to come")
    return {
        "ref": f"{invoice.system}/{row.text('dispute')}",
        "invoice": str(invoice.ref),
        "erp": str(invoice.system),
        "raised_on": raised_on.isoformat(),
        "status": row.chosen("status", DISPUTE_STATES),
        "amount": format(amount, "f"),
        "currency": str(invoice.currency),
        "cause": row.chosen("cause", DISPUTE_CAUSES, otherwise=""),
    }


def _amount(row: Row, invoice: sa.Row[Any]) -> Decimal:
    currency = row.text("currency").upper()
    if currency != invoice.currency:
        raise row.wrong(f"currency: the invoice is in {invoice.currency}, not in {currency[:10]}")
    try:
        amount = Money.of(row.number("amount"), currency).amount
    except InvalidMoney as wrong:
        raise row.wrong(f"amount: {wrong.message}") from wrong
    if amount <= 0:
        raise row.wrong(f"amount: {amount} is not above zero")
    if amount > invoice.amount:
        raise row.wrong(f"amount: {amount} is more than the invoice's {invoice.amount} (both without tax)")
    return amount


def _same_invoice(act: Act, rows: Sequence[Row], said: Sequence[Mapping[str, str]]) -> None:
    """A dispute stays with its invoice, which is named to those who reach it. Raises InvalidInput."""
    refs = [one["ref"] for one in said]
    held = {row.ref: row for row in act.conn.execute(_HELD, {"import": IMPORT, "refs": refs})}
    for row, one in zip(rows, said, strict=True):
        known = held.get(one["ref"])
        if known is not None and known.invoice_ref != one["invoice"]:
            named = act.actor.may(Permission.FINANCE_WRITE, entity=known.legal_entity)
            which = f"invoice {known.invoice_ref}" if named else "another invoice"
            raise row.wrong(f"dispute: {row.text('dispute')!r} is about {which}; give it another name")
