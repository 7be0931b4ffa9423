"""Billing dispute rate: of the invoices issued, how many their customers disputed within 60 days.

Of invoices that had their 60 days alone, so that periods can be compared: a younger one may still be disputed. Cells
are of weeks, so an invoice counts as soon as the last day of its week is 60 days past.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from metrics.asking import By
from metrics.cells import Cell, Need
from metrics.converted import money, noted, without_rate
from metrics.drilling import Listing, drill
from metrics.facts.invoice import MATURE_DAYS
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Span, Unit
from metrics.months import month_of
from metrics.proportion import wilson
from metrics.rates import Rates, rated, rates_of, worth
from metrics.source import Source, chosen

_STATES: Final = {"open": "Still open", "upheld": "Upheld", "settled": "Settled, outcome not reported",
                  "withdrawn": "Withdrawn or rejected"}  # fmt: skip
_LEFT_OUT: Final = {"credit_note": "credit note", "rebill": "re-bill of an invoice", "cancelled": "cancelled invoice",
                    "draft": "draft of an invoice", "foreign_dispute": "dispute in another currency",
                    "foreign_payment": "payment in another currency",
                    "unknown": "dispute of an invoice that no ERP reported", "test": "test contract"}  # fmt: skip
_MEASURES: Final = tuple(
    f"invoice.{what}" for what in ("issued", "disputed", "sync", "cause", "late", *_STATES, *_LEFT_OUT)
)
_EXCELLENT, _ACCEPTABLE = 0.02, 0.05

Key = tuple[str, str, int]  # measure, label, month
Cells = Mapping[Key, tuple[int, Decimal]]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Cells by measure, label and month. With a `cause`: all invoices, looked at for it; such add up to all again."""

    cells: Mapping[Key, tuple[int, Decimal]] = field(default_factory=dict)
    young: Mapping[Key, tuple[int, Decimal]] = field(default_factory=dict)  # of those that may still be disputed
    rates: Rates | None = None
    cause: str | None = None

    def __add__(self, other: "Inputs") -> "Inputs":
        rates = self.rates or other.rates
        if self.cause is not None or other.cause is not None:
            return Inputs(self.cells or other.cells, self.young or other.young, rates)
        return Inputs(_added(self.cells, other.cells), _added(self.young, other.young), rates)

    def count(self, measure: str, *, label: str | None = None) -> int:
        return sum(n for (what, of, _), (n, _a) in self.cells.items() if what == measure and label in (None, of))

    def count_young(self, measure: str) -> int:
        return sum(n for (what, _, _m), (n, _a) in self.young.items() if what == measure)

    def money(self, measure: str) -> dict[str, Decimal]:
        """By currency."""
        found: dict[str, Decimal] = {}
        for (what, currency, _), (_n, amount) in self.cells.items():
            if what == measure:
                found[currency] = found.get(currency, Decimal(0)) + amount
        return found

    def causes(self) -> dict[str, int]:
        names = sorted({label for what, label, _ in self.cells if what == "cause"})
        return {name: self.count("cause", label=name) for name in names}


def _added(one: Cells, other: Cells) -> Cells:
    both = dict(one)
    for key, (n, amount) in other.items():
        held_n, held = both.get(key, (0, Decimal(0)))
        both[key] = (held_n + n, held + amount)
    return both


class DisputeRate:
    definition = Definition(
        slug="dispute-rate",
        title="Billing dispute rate",
        unit=Unit.SHARE,
        better=Better.LOWER,
        version=2,
        says="Of the invoices that had 60 days to be disputed in, this share was.",
        formula="distinct invoices with a dispute raised within 60 days of issue / invoices issued in weeks of the "
        "window that ended at least 60 days ago; younger ones are told apart. The trend is by month of issue.",
        splits=(By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING, By.LABEL),
        target=_EXCELLENT,
        target_says="suggested: below 2% excellent, 2 to 5% acceptable, above 5% act",
        strict=True,
        span=Span.QUARTER,
        drill="disputed invoice",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return _needed(by)

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        if source.as_of is None:
            return {}
        rates = rates_of(source)
        ripe, young = (_grouped(source.cells_of(need), by) for need in _needed(by))
        found = {
            group: Inputs(ripe.get(group, {}), young.get(group, {}), rates)
            for group in sorted(ripe.keys() | young.keys())
        }
        return _by_cause(found) if by is By.LABEL else found

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        issued, disputed = inputs.count("issued"), inputs.count("disputed")
        excluded = {words: inputs.count(what) + inputs.count_young(what) for what, words in _LEFT_OUT.items()}
        excluded[f"younger than {MATURE_DAYS} days"] = inputs.count_young("issued")
        if issued == 0:
            return Answer(None, 0, excluded=excluded, figures=tuple(_so_far(inputs)), why_none=_why_none(inputs))
        if inputs.cause is not None:
            of_cause = inputs.count("cause", label=inputs.cause)
            return Answer(of_cause / issued, issued, figures=tuple(_limits("rate", "Rate", of_cause, issued)))
        return Answer(
            value=disputed / issued,
            n=issued,
            n_open=inputs.count("open"),
            excluded=excluded,
            figures=(
                *_limits("rate", "Rate", disputed, issued),
                Figure("band", "Disputed", disputed, Unit.COUNT, _band(disputed / issued)),
                *_so_far(inputs),
                Figure("late", "Disputed later than that", inputs.count("late"), Unit.COUNT,
                       f"more than {MATURE_DAYS} days after issue, so in no rate"),
                *_money(inputs),
                *_outcomes(inputs, disputed),
            ),
            rate_dates=(inputs.rates or Rates("")).total(inputs.money("issued")).rate_dates,
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        return drill(source, _LISTING, after=after, limit=limit, bound={"ripe": source.ripe(MATURE_DAYS)})


def _needed(by: By | None) -> tuple[Need, Need]:
    return Need(_MEASURES, _split(by), ripe_days=MATURE_DAYS), Need(_MEASURES, _split(by), young_days=MATURE_DAYS)


def _grouped(cells: Iterable[Cell], by: By | None) -> dict[str, dict[Key, tuple[int, Decimal]]]:
    grouped: dict[str, dict[Key, tuple[int, Decimal]]] = {}
    for cell in cells:
        group = str(month_of(cell.bucket)) if by is By.WEEK else cell.group
        grouped.setdefault(group, {})[_key(cell)] = (cell.n, cell.amount)
    return grouped


def _split(by: By | None) -> By | None:
    """Months and causes are in the cells besides the dimensions."""
    return None if by in (By.WEEK, By.LABEL) else by


def _key(cell: Cell) -> Key:
    return cell.measure.partition(".")[2], cell.label, cell.bucket


def _by_cause(found: Mapping[str, Inputs]) -> dict[str, Inputs]:
    """The same invoices once for each cause; "" stands for none where nothing was disputed."""
    [everything] = found.values() or [Inputs()]
    return {cause: replace(everything, cause=cause) for cause in everything.causes() or [""]}


def _band(rate: float) -> str:
    """As metrics/targets.py judges it, of so many digits: at exactly 2% it is acceptable, and off target."""
    shown = round(rate, 6)
    if shown < _EXCELLENT:
        return "excellent: below 2%"
    return "acceptable: 2 to 5%" if shown <= _ACCEPTABLE else "act: above 5%"


def _limits(key: str, label: str, k: int, n: int) -> Iterator[Figure]:
    limits = wilson(k, n) or (None, None)
    yield Figure(f"{key}_low", f"{label}, 95 % lower limit", limits[0], Unit.SHARE, "Wilson")
    yield Figure(f"{key}_high", f"{label}, 95 % upper limit", limits[1], Unit.SHARE, "Wilson")


def _why_none(inputs: Inputs) -> str:
    younger = inputs.count_young("issued")
    if not younger:
        return "no invoice was issued in the window"
    return f"no invoice of the window is {MATURE_DAYS} days old yet; {younger} are younger"


def _so_far(inputs: Inputs) -> Iterator[Figure]:
    """Of the invoices that may still be disputed; and what the rate would be with them."""
    issued, disputed = inputs.count_young("issued"), inputs.count_young("disputed")
    every, of_them = inputs.count("issued") + issued, inputs.count("disputed") + disputed
    yield Figure("provisional", "Younger invoices", issued, Unit.COUNT,
                 f"not in the rate: the last day of their week is not {MATURE_DAYS} days past")  # fmt: skip
    yield Figure("so_far", "Of the younger ones, disputed so far", disputed / issued if issued else None, Unit.SHARE,
                 "can only rise")  # fmt: skip
    yield Figure("with_younger", "Rate with the younger ones in it", of_them / every if every else None, Unit.SHARE,
                 "too good: can only rise" if issued else "")  # fmt: skip


def _money(inputs: Inputs) -> Iterator[Figure]:
    rates = inputs.rates or Rates("")
    invoiced, disputed = rates.total(inputs.money("issued")), rates.total(inputs.money("disputed"))
    share = None
    if invoiced.amount:
        share = float((disputed.amount or Decimal(0)) / invoiced.amount)
    yield Figure("value_rate", "Disputed amount / invoiced amount", share, Unit.SHARE, noted("", invoiced))
    yield money("invoiced_amount", "Invoiced", invoiced)
    yield money("disputed_amount", "Disputed amount", disputed if disputed.unconverted else replace(
        disputed, amount=disputed.amount or Decimal(0)))  # fmt: skip
    without = "there is no rate, so it is in the counts and not in the amounts"
    yield from without_rate("unconverted", "Invoiced", invoiced, without)
    yield from without_rate("disputed_unconverted", "Disputed", disputed, without)


def _outcomes(inputs: Inputs, disputed: int) -> Iterator[Figure]:
    for state, label in _STATES.items():
        yield Figure(state, label, inputs.count(state), Unit.COUNT)
    sync = inputs.count("sync")
    yield Figure("sync_caused", "Caused by a mismatch of contract and ERP", sync / disputed if disputed else None,
                 Unit.SHARE, "proven on the day of issue, of the disputed invoices")  # fmt: skip
    yield Figure("sync_caused_count", "Disputed invoices with a proven mismatch", sync, Unit.COUNT)
    for cause, n in inputs.causes().items():
        yield Figure(f"cause_{cause.replace(' ', '_')}", f"Cause: {cause}", n, Unit.COUNT)


_LISTING: Final = Listing(
    rows=f"""
        SELECT f.invoice_id, f.system, f.ref AS invoice, f.contract_id, c.external_id AS contract, c.title,
               f.legal_entity, f.issued_on, f.raised_on, f.dispute_state, f.cause, f.sync_cause, f.amount, f.disputed,
               f.currency, {worth("f.disputed")} AS disputed_reporting
        FROM metrics.invoice_fact AS f LEFT JOIN core.contract AS c ON c.contract_id = f.contract_id
             {rated()}
        WHERE {{valid}} AND f.kind = 'invoice' AND NOT f.test AND f.disputes > 0 AND {chosen("f")}
          AND f.issued_on >= :start AND f.issued_on < least(CAST(:end AS date), CAST(:ripe AS date))
    """,
    columns=(
        Column("invoice", "Invoice"), Column("system", "ERP"), Column("contract", "Contract"),
        Column("title", "Title"), Column("legal_entity", "Legal entity"), Column("issued_on", "Issued"),
        Column("raised_on", "Disputed"), Column("dispute_state", "State"), Column("cause", "Cause as reported"),
        Column("sync_cause", "Proven mismatch"), Column("amount", "Amount", currency="currency"),
        Column("disputed", "Disputed amount", currency="currency"),
        Column("currency", "Currency"), Column("disputed_reporting", "Disputed, converted", Unit.MONEY),
    ),
    order="disputed_reporting",
    key="invoice_id",
    adds="disputed_reporting",
)  # fmt: skip

KPI = DisputeRate()
