"""What finance states and no system reports: exchange rates, baseline, assumptions, disputes where the ERP has none.

Each import is one file, all of it or nothing. Nothing is changed or deleted: a row that says something new is a later
version, and one that repeats what holds is passed over. Measures know of it from their next refresh on.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import Final

import orjson
import sqlalchemy as sa

from sync_core.audit.audit import Entry, canonical
from sync_core.authority import Actor, Forbidden, Permission
from sync_core.commands.desk import Act, Desk
from sync_core.commands.disputes import DISPUTE_COLUMNS, store_disputes
from sync_core.commands.files import Form, Row, rows_of, unique
from sync_core.errors import InvalidMoney
from sync_core.finance import MOST, NUMBERS, Stated
from sync_core.locks import Lock
from sync_core.money import exponent

COMMANDS: Final[Mapping[str, Permission]] = {
    "import_rates": Permission.FINANCE_WRITE,
    "import_disputes": Permission.FINANCE_WRITE,
    "import_baseline": Permission.FINANCE_WRITE,
    "import_assumptions": Permission.FINANCE_WRITE,
}

RATE_COLUMNS: Final = ("currency", "valid_on", "rate")
STATED_COLUMNS: Final = ("name", "value", "reason")
MOST_WARNINGS: Final = 20
_YEAR: Final = timedelta(days=366)
_FACTOR: Final = 3  # a rate that moves by more than that is mostly one of another currency, or upside down

# One import of a kind after the other, so that each compares its rows with all that was stored before.
_ALONE: Final = sa.text(f"SELECT pg_advisory_xact_lock({Lock.FINANCE}, hashtext(:kind))")
_SEEN: Final = sa.text("SELECT EXISTS (SELECT FROM metrics.import WHERE kind = :kind AND digest = :digest)")
_NOTE: Final = sa.text("""
    INSERT INTO metrics.import (kind, digest, rows, stored, recorded_at, recorded_by)
    VALUES (:kind, :digest, :rows, :stored, :now, :actor)
""")
_KNOWN_RATES: Final = sa.text("""
    SELECT DISTINCT ON (r.currency, r.valid_on) r.currency, r.valid_on, r.rate FROM metrics.exchange_rate AS r
    WHERE r.reporting = :reporting AND r.currency = ANY(CAST(:currencies AS text[]))
    ORDER BY r.currency, r.valid_on, r.seq DESC
""")
_STORE_RATES: Final = sa.text("""
    INSERT INTO metrics.exchange_rate (currency, valid_on, rate, reporting, recorded_at, recorded_by, batch)
    SELECT e.currency, e.valid_on, e.rate, :reporting, :now, :actor, :digest
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS e(currency text, valid_on date, rate numeric)
    WHERE e.rate IS DISTINCT FROM (
        SELECT r.rate FROM metrics.exchange_rate AS r
        WHERE r.reporting = :reporting AND r.currency = e.currency AND r.valid_on = e.valid_on
        ORDER BY r.seq DESC LIMIT 1)
    ORDER BY e.currency, e.valid_on
""")
_STORE_STATED: Final = sa.text("""
    INSERT INTO metrics.stated_value (kind, name, value, reason, recorded_at, recorded_by, batch)
    SELECT :kind, e.name, e.value, e.reason, :now, :actor, :digest
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS e(name text, value numeric, reason text)
    WHERE row(e.value, e.reason) IS DISTINCT FROM (
        SELECT row(r.value, r.reason) FROM metrics.stated_value AS r
        WHERE r.kind = :kind AND r.name = e.name ORDER BY r.seq DESC LIMIT 1)
    ORDER BY e.name
""")


@dataclass(frozen=True, slots=True)
class Imported:
    """`stored` of `rows` said something new. `repeated`: a file with these very rows was imported before."""

    kind: str
    digest: str  # of the rows, whatever the file's form
    rows: int
    stored: int
    repeated: bool
    warnings: tuple[str, ...] = ()  # what was taken in and looks like a slip, the first of it


class Finance:
    """All raise Forbidden, and InvalidInput with the line of the first row that cannot be used."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def import_rates(self, actor: Actor, body: bytes, form: Form) -> Imported:
        """Rates of the group: one unit of a currency in the reporting currency, from a day on."""
        return self._desk.run(actor, COMMANDS["import_rates"], lambda act: import_rates(act, body, form))

    def import_disputes(self, actor: Actor, body: bytes, form: Form) -> Imported:
        """Disputes of invoices within the actor's reach; an invoice beyond it is one that nobody knows."""
        return self._desk.run(actor, COMMANDS["import_disputes"], lambda act: import_disputes(act, body, form))

    def import_baseline(self, actor: Actor, body: bytes, form: Form) -> Imported:
        """Numbers from before go-live, by the names of sync_core/finance.py."""
        return self._desk.run(actor, COMMANDS["import_baseline"], lambda act: import_baseline(act, body, form))

    def import_assumptions(self, actor: Actor, body: bytes, form: Form) -> Imported:
        """What measured differences are multiplied with."""
        return self._desk.run(actor, COMMANDS["import_assumptions"], lambda act: import_assumptions(act, body, form))


def import_rates(act: Act, body: bytes, form: Form) -> Imported:
    _whole_group(act)
    rows, reporting = rows_of(body, form, needed=RATE_COLUMNS), act.estate.group.reporting_currency
    said = [_rate(row, reporting) for row in rows]
    unique(rows, [(one["currency"], one["valid_on"]) for one in said], "currency and day")
    warnings = tuple(islice(_odd(act, said, reporting), MOST_WARNINGS))
    done = _store(act, "rates", said, lambda values: act.conn.execute(
        _STORE_RATES, {**values, "reporting": reporting}).rowcount)  # fmt: skip
    return replace(done, warnings=warnings)


def import_baseline(act: Act, body: bytes, form: Form) -> Imported:
    return _import_stated(act, Stated.BASELINE, "baseline", body, form)


def import_assumptions(act: Act, body: bytes, form: Form) -> Imported:
    return _import_stated(act, Stated.ASSUMPTION, "assumptions", body, form)


def import_disputes(act: Act, body: bytes, form: Form) -> Imported:
    rows = rows_of(body, form, needed=DISPUTE_COLUMNS, optional=("erp", "cause"))
    act.conn.execute(_ALONE, {"kind": "disputes"})
    said, store = store_disputes(act, rows)
    digest = _digest(said)
    # A log, not a state: an old file handed in again must not raise what was withdrawn since.
    seen = bool(act.conn.scalar(_SEEN, {"kind": "disputes", "digest": digest}))
    return _noted(act, "disputes", digest, said, 0 if seen else store(), repeated=seen)


def _import_stated(act: Act, kind: Stated, what: str, body: bytes, form: Form) -> Imported:
    _whole_group(act)
    rows = rows_of(body, form, needed=STATED_COLUMNS)
    said = [_number(row, kind) for row in rows]
    unique(rows, [one["name"] for one in said], "name")
    return _store(act, what, said, lambda values: act.conn.execute(
        _STORE_STATED, {**values, "kind": kind.value}).rowcount)  # fmt: skip


def _whole_group(act: Act) -> None:
    """What holds for every legal entity is for those whose reach is all of them. Raises Forbidden."""
    reach = act.actor.entities(Permission.FINANCE_WRITE)
    if reach:
        within = ", ".join(sorted(reach))
        words = (
            f"rates, baseline and assumptions hold for every legal entity, and your reach is {within} alone; who has "
            f"{Permission.FINANCE_WRITE} over all of them may"
        )
        raise Forbidden(Permission.FINANCE_WRITE, words)
    act.actor.require(Permission.FINANCE_WRITE, entity="")


def _rate(row: Row, reporting: str) -> dict[str, str]:
    currency, rate = row.text("currency").upper(), row.number("rate")
    try:
        exponent(currency)
    except InvalidMoney as wrong:
        raise row.wrong(wrong.message) from wrong
    if currency == reporting:
        raise row.wrong(f"{currency} is the reporting currency, whose rate is 1; leave it out")
    if rate <= 0:
        raise row.wrong(f"rate: {rate} is not above zero")
    if rate > MOST:
        raise row.wrong(f"rate: {rate} {reporting} for one {currency} is above {MOST:,}; check it")
    return {"currency": currency, "valid_on": row.day("valid_on").isoformat(), "rate": _plain(rate)}


def _odd(act: Act, said: Sequence[Mapping[str, str]], reporting: str) -> Iterator[str]:
    """Of each currency, days in their order, with those that are known: what may be a slip of the pen."""
    currencies = sorted({one["currency"] for one in said})
    rows = act.conn.execute(_KNOWN_RATES, {"reporting": reporting, "currencies": currencies})
    known: dict[str, list[tuple[str, Decimal, bool]]] = {currency: [] for currency in currencies}
    for row in rows:
        known[row.currency].append((row.valid_on.isoformat(), row.rate, False))
    for one in said:
        known[one["currency"]].append((one["valid_on"], Decimal(one["rate"]), True))
    latest = (act.now + _YEAR).date().isoformat()
    for currency, listed in known.items():
        last: tuple[str, Decimal] | None = None
        for day, rate, new in sorted(listed):
            if new and day > latest:
                yield f"{currency}: {day} is more than a year ahead"
            if new and last is not None and not 1 / _FACTOR <= rate / last[1] <= _FACTOR:
                before = f"{_plain(last[1])} of {last[0]}"
                yield f"{currency}: {_plain(rate)} from {day} on differs by more than {_FACTOR} times from {before}"
            last = day, rate


def _number(row: Row, kind: Stated) -> dict[str, str]:
    name = row.chosen("name", NUMBERS[kind])
    value, reason = row.number("value"), row.text("reason")
    if not 0 <= value <= NUMBERS[kind][name].most:
        raise row.wrong(f"{name}: {value} is not between 0 and {NUMBERS[kind][name].most}")
    if not any(mark.isalpha() for mark in reason):
        raise row.wrong(f"reason: {reason!r} says nothing; say where the number comes from")
    return {"name": name, "value": _plain(value), "reason": reason}


def _plain(number: Decimal) -> str:
    """1.50 and 1.5 are one rate."""
    return format(number.normalize(), "f")


def _store(
    act: Act, kind: str, said: Sequence[Mapping[str, str]], store: Callable[[dict[str, object]], int]
) -> Imported:
    act.conn.execute(_ALONE, {"kind": kind})
    digest = _digest(said)
    seen = bool(act.conn.scalar(_SEEN, {"kind": kind, "digest": digest}))
    rows = orjson.dumps(said).decode()
    stored = store({"rows": rows, "now": act.now, "actor": act.actor.name, "digest": digest})
    return _noted(act, kind, digest, said, stored, repeated=seen and not stored)


def _digest(said: Sequence[Mapping[str, str]]) -> str:
    """Of what the rows say, in any order and form."""
    return hashlib.sha256(canonical(sorted(map(canonical, said))).encode()).hexdigest()


def _noted(
    act: Act, kind: str, digest: str, said: Sequence[Mapping[str, str]], stored: int, *, repeated: bool
) -> Imported:
    values = {"kind": kind, "digest": digest, "rows": len(said), "stored": stored}
    act.conn.execute(_NOTE, {**values, "now": act.now, "actor": act.actor.name})
    detail = {**values, "repeated": repeated, "first": said[:20]}
    act.note(Entry(f"{kind}.import", f"{len(said):,} rows of {kind}", detail=detail, items=said))
    return Imported(kind, digest, len(said), stored, repeated)
