"""Contract to cash: signed, active, first billable, first invoice, first payment, and what was lost on the way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from metrics import unsigned
from metrics.asking import By
from metrics.cells import Cell, Need
from metrics.drilling import Known, Listing, drill
from metrics.durations import NONE, Durations
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Unit
from metrics.percentiles import DAY_S, figures, in_unit, why_none
from metrics.reading import Timed, durations, durations_of, merged, timed_need, together
from metrics.source import Source, chosen
from metrics.unsigned import NOTHING
from metrics.walking import OF_WEEK, WEEKS, Walk

_KEPT: Final = "NOT f.test AND NOT f.lost"


def _timed(measure: str, start: str, end: str) -> Timed:
    took = f"CAST(greatest({end} - {start}, 0) AS bigint) * 86400"
    return Timed("cash", f"cash.{measure}", f"{_KEPT} AND {start} IS NOT NULL AND {end} IS NOT NULL", took)


_TIMES: Final = {
    "active": _timed("to_active", "f.signed_on", "f.active_on"),
    "billable": _timed("to_billable", "f.active_on", "f.billable_on"),
    "invoice": _timed("to_invoice", "f.billable_on", "f.invoice_on"),
    "payment": _timed("to_payment", "f.invoice_on", "f.payment_on"),
    "cash": _timed("to_cash", "f.signed_on", "f.payment_on"),
}
_WAITS: Final = {
    "cash.wait_active": "active", "cash.wait_invoice": "invoice", "cash.wait_payment": "payment",
    "cash.wait_cash": "cash",
}  # fmt: skip
_STAGES: Final = {
    "signed": "Signed",
    "captured": "Signature received",
    "validated": "Checked",
    "project_created": "Project created",
    "billing_set_up": "Billing set up",
    "active": "Active",
    "billable": "Due to bill",
    "invoiced": "Invoiced",
    "paid": "Paid",
}
_HAND_OFFS: Final = {
    "active": "Signed to active", "billable": "Active to billing day", "invoice": "Billing day to first invoice",
    "payment": "First invoice to first payment",
}  # fmt: skip
_CELLS: Final = ("cash.stage", "cash.lost", "cash.test", "cash.touches", *_WAITS)

_HEADLINE: Final = ("cash.wait_cash",)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Inputs:
    times: Mapping[str, Durations] = field(default_factory=dict)
    furthest: Mapping[str, int] = field(default_factory=dict)  # contracts by the last stage that they reached
    lost: Mapping[str, int] = field(default_factory=dict)  # of these, those that ended there
    touches: Mapping[Key, int] = field(default_factory=dict)  # by (hand-off, "touches" or "contracts")
    counts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Inputs") -> "Inputs":
        return Inputs(
            merged(self.times, other.times),
            merged(self.furthest, other.furthest),
            merged(self.lost, other.lost),
            merged(self.touches, other.touches),
            merged(self.counts, other.counts),
        )

    def time(self, name: str) -> Durations:
        return self.times.get(name, NONE)


class ContractToCash:
    definition = Definition(
        slug="contract-to-cash",
        title="Contract to cash",
        unit=Unit.DAYS,
        better=Better.LOWER,
        version=3,
        says="Half of the signed contracts had brought their first payment within so many days of their signature.",
        formula="Kaplan-Meier median of (first payment - last signature) in calendar days; contracts without a payment "
        "count for as long as they have been signed, those that ended unbilled are counted apart.",
        splits=(By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING),
        drill="contract",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return (timed_need(_TIMES.values(), by), Need(_CELLS, by))

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        return {} if source.as_of is None else together((*_timed_parts(source, by), *_read(source, by, source.as_of)))

    def headline_needs(self) -> Sequence[Need]:
        return (timed_need((_TIMES["cash"],), None), Need(_HEADLINE))

    def headline_inputs(self, source: Source) -> Inputs:
        read = durations(source, _TIMES["cash"], None).get("", NONE)
        timed = Inputs({"cash": read + Durations.of((), unsigned.contracts(source, None).get("", NOTHING).open_s)})
        as_of = source.as_of
        return timed if as_of is None else sum((one for _, one in _read(source, None, as_of, _HEADLINE)), timed)

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        cash = inputs.time("cash")
        p50 = cash.percentile(0.5)
        return Answer(
            value=in_unit(p50.value, DAY_S),
            n=cash.n,
            n_open=cash.n_open,
            excluded={
                "ended before its first invoice": sum(inputs.lost.values()),
                "test contract": inputs.counts.get("test", 0),
            },
            figures=(
                *figures("p50", "Median", p50, DAY_S, Unit.DAYS),
                *figures("p90", "90th percentile", cash.percentile(0.9), DAY_S, Unit.DAYS),
                Figure("naive_p50", "Median of paid ones alone", in_unit(cash.naive(0.5).value, DAY_S), Unit.DAYS,
                       "too good: what is slow is not paid yet and not in it"),
                *_hand_offs(inputs),
                *_funnel(inputs),
                Figure("quarantined", "Signatures in quarantine", inputs.counts.get("quarantined", 0), Unit.COUNT,
                       "counted as signed"),
            ),
            error=in_unit(p50.error, DAY_S),
            why_none=why_none(cash, p50, DAY_S, "days"),
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        waiting = unsigned.contract_rows(source, _WAITING)
        if not source.latest:
            return drill(source, _LISTING, after=after, limit=limit, waiting=waiting)
        kept = sum(cell.n for cell in source.cells(("cash.stage",)))
        return drill(source, _LISTING, after=after, limit=limit, known=Known(kept, None), walks=_WALKS, waiting=waiting)


def _timed_parts(source: Source, by: By | None) -> Iterator[tuple[str, Inputs]]:
    for name, groups in durations_of(source, _TIMES, by).items():
        for group, found in groups.items():
            yield group, Inputs({name: found})
    for group, unread in unsigned.contracts(source, by).items():
        open_for = Durations.of((), unread.open_s)
        times, counts = {"active": open_for, "cash": open_for}, {"quarantined": open_for.n}
        yield group, Inputs(times, {"signed": open_for.n}, counts=counts)


def _read(
    source: Source, by: By | None, as_of: datetime, measures: Sequence[str] = _CELLS
) -> Iterator[tuple[str, Inputs]]:
    today = as_of.astimezone(ZoneInfo(source.estate.group.timezone)).date()
    waiting: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for cell in source.cells(measures, by):
        age = _age(cell, today)
        if age is None:
            yield cell.group, _counted(cell)
        elif age >= 0:
            waiting.setdefault((cell.group, _WAITS[cell.measure]), []).append((age * DAY_S, cell.n))
    for (group, name), ages in waiting.items():
        yield group, Inputs({name: Durations.counted((), ages)})


def _age(cell: Cell, today: date) -> int | None:
    """Whole days since when it waits, negative where that is yet to come; None of what does not wait.

    Where the legal entity's day has begun before the group's, what was signed or invoiced on it has waited for 0 days.
    """
    if cell.measure not in _WAITS:
        return None
    age = (today - date.fromisoformat(cell.label)).days
    return max(age, 0) if age == -1 and cell.measure != "cash.wait_invoice" else age


def _counted(cell: Cell) -> Inputs:
    match cell.measure:
        case "cash.touches":
            name = cell.label
            return Inputs(touches={(name, "touches"): int(cell.amount), (name, "contracts"): cell.n})
        case "cash.test":
            return Inputs(counts={"test": cell.n})
        case "cash.stage":
            return Inputs(furthest={cell.label: cell.n})
        case "cash.lost":
            return Inputs(furthest={cell.label: cell.n}, lost={cell.label: cell.n})
    return Inputs()


def _hand_offs(inputs: Inputs) -> Iterator[Figure]:
    for name, words in _HAND_OFFS.items():
        time = inputs.time(name)
        for p, label in ((0.5, "median"), (0.9, "90th percentile")):
            yield from figures(f"{name}_p{round(100 * p)}", f"{words}, {label}", time.percentile(p), DAY_S, Unit.DAYS)
        yield Figure(f"{name}_waiting", f"{words}, still waiting", time.n_open, Unit.COUNT)
        touches, n = (inputs.touches.get((name, what), 0) for what in ("touches", "contracts"))
        yield Figure(f"{name}_touches", f"{words}, manual touches", touches, Unit.COUNT, f"on {n} contracts")


def _funnel(inputs: Inputs) -> Iterator[Figure]:
    """`reached_*` and `lost_*`: lost are those that ended there, before the next stage."""
    billable = inputs.time("invoice").n_open  # the day has come, and there is no invoice yet
    furthest = dict(inputs.furthest)
    furthest["billable"] = min(billable, furthest.get("active", 0))
    furthest["active"] = furthest.get("active", 0) - furthest["billable"]
    left = sum(furthest.values())
    for stage, words in _STAGES.items():
        yield Figure(f"reached_{stage}", words, left, Unit.COUNT)
        yield Figure(f"lost_{stage}", f"{words}, and ended there", inputs.lost.get(stage, 0), Unit.COUNT)
        left -= furthest.get(stage, 0)


_DAYS_AFTER: Final = "CAST(CAST(:order_after AS numeric) AS integer)"
_TODAY: Final = "CAST(CAST(:as_of AS timestamptz) AT TIME ZONE :zone AS date)"
_LISTING: Final = Listing(
    rows=f"""
        SELECT f.contract_id, c.external_id AS contract, c.title, f.legal_entity, f.signed_on, f.active_on,
               f.billable_on, f.invoice_on, f.payment_on, f.stage,
               (SELECT CAST(sum(t.n) AS integer) FROM unnest(f.touches) AS t(n)) AS touches,
               coalesce(f.payment_on, {_TODAY}) - f.signed_on AS apart,
               greatest(coalesce(f.payment_on, {_TODAY}) - f.signed_on, 0) AS days
        FROM metrics.cash_fact AS f LEFT JOIN core.contract AS c ON c.contract_id = f.contract_id
        WHERE {{valid}} AND {_KEPT} AND {chosen("f")} AND f.period >= :start AND f.period < :end
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("legal_entity", "Legal entity"),
        Column("signed_on", "Signed"), Column("active_on", "Active"), Column("billable_on", "Due to bill"),
        Column("invoice_on", "First invoice"), Column("payment_on", "First payment"), Column("stage", "Stage"),
        Column("touches", "Manual touches", Unit.COUNT), Column("days", "Days", Unit.DAYS),
    ),
    order="apart",  # as the walks have it: days, or -1 where the legal entity's day began before the group's
    key="contract_id",
    adds=None,
)  # fmt: skip

_WAITING: Final = """f.open_s / 86400 AS place, CAST(f.open_s / 86400 AS integer) AS days,
    'in quarantine' AS stage"""
_WALKS: Final = (
    Walk("cash", f"{_KEPT} AND f.payment_on IS NOT NULL", WEEKS, OF_WEEK, "(f.payment_on - f.signed_on) DESC",
         "f.payment_on - f.signed_on",
         f"(f.payment_on - f.signed_on, f.contract_id) < ({_DAYS_AFTER}, :key_after)"),
    Walk("cash", f"{_KEPT} AND f.payment_on IS NULL", WEEKS, OF_WEEK, "f.signed_on", f"{_TODAY} - f.signed_on",
         f"f.signed_on >= {_TODAY} - {_DAYS_AFTER}"
         f" AND ({_TODAY} - f.signed_on, f.contract_id) < ({_DAYS_AFTER}, :key_after)"),
)  # fmt: skip

KPI = ContractToCash()
