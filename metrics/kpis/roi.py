"""What changed since before go-live, in money: measured differences times stated assumptions, the two shown apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from metrics.asking import By
from metrics.cells import Need
from metrics.drilling import few
from metrics.facts.invoice import MATURE_DAYS
from metrics.forecasting import forecasts, needed
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Span, Unit
from metrics.snapshot import wording
from metrics.source import Source
from metrics.stated import StatedNumbers, stated
from sync_core.finance import ASSUMPTIONS
from sync_core.money import rounded

_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of saving: per case now against the baseline's, times the cases, times what one unit of it costs."""

    key: str
    label: str
    unit: Unit  # of the measured number, of the baseline and of the difference
    baseline: str
    assumptions: tuple[str, ...]  # multiplied
    note: str  # what was measured
    units: int = 1  # of the assumption in one of the baseline's
    saves: str = ""  # what is saved of it, where that is not what was measured


LINES: Final = (
    Line("setup", "Setup time", Unit.WORKING_HOURS, "setup_hours", ("cost_of_setup_hour",),
         "mean working hours from the last signature to read-back, of the contracts provisioned"),
    Line("touches", "Manual touches", Unit.RATIO, "touches_per_contract", ("hours_of_touch", "cost_of_hour"),
         "kinds of manual work on a contract before it was active: corrections, decisions, exceptions, replays"),
    Line("disputes", "Disputes", Unit.SHARE, "dispute_rate", ("cost_of_dispute",),
         f"invoices disputed within {MATURE_DAYS} days / invoices that had so many", saves="invoices not disputed"),
    Line("findings", "Audit findings", Unit.RATIO, "findings_per_contract", ("cost_of_finding",),
         "on record, per contract: work before signature, corrected by hand after it was active"),
    Line("mismatches", "Disputes from a mismatch", Unit.SHARE, "sync_dispute_rate", ("cost_of_finding",),
         f"invoices disputed within {MATURE_DAYS} days because contract and ERP differed / invoices that had so many",
         saves="invoices not disputed"),
    Line("amendments", "Amendment propagation", Unit.WORKING_HOURS, "amendment_hours", ("cost_of_amendment_hour",),
         "mean working hours from execution to read-back, of the amendments that the ERP has"),
    Line("forecast", "Forecast error", Unit.SHARE, "forecast_error", ("cost_of_forecast_point",),
         "mean over months of |forecast - billed| / billed; its assumption is of one percentage point", units=100,
         saves="all months together; 0.01 is one percentage point"),
)  # fmt: skip
_MEASURES: Final = (
    "contract.provisioned", "contract.before_signature", "contract.cycle_work", "contract.touched",
    "contract.corrected_any", "amendment.lag_work",
)  # fmt: skip
# Of those that had their time to be disputed: with younger ones each week would look better than it was.
_INVOICES: Final = Need(("invoice.issued", "invoice.disputed", "invoice.sync"), ripe_days=MATURE_DAYS)


@dataclass(frozen=True, slots=True)
class Measured:
    """`total` over `cases`: hours, touches, disputes, findings, shares of months."""

    total: Decimal = Decimal(0)
    cases: int = 0

    @property
    def mean(self) -> Decimal | None:
        return self.total / self.cases if self.cases else None

    def __add__(self, other: "Measured") -> "Measured":
        return Measured(self.total + other.total, self.cases + other.cases)


@dataclass(frozen=True, slots=True)
class Inputs:
    measured: Mapping[str, Measured] = field(default_factory=dict)  # by line
    given: StatedNumbers = field(default_factory=StatedNumbers)

    def __add__(self, other: "Inputs") -> "Inputs":
        lines = self.measured.keys() | other.measured.keys()
        both = {key: self.measured.get(key, Measured()) + other.measured.get(key, Measured()) for key in lines}
        return Inputs(both, other.given if other.measured else self.given)


@dataclass(frozen=True, slots=True)
class Saving:
    """One line worked out. `money` None: `lacks` says what is missing."""

    line: Line
    measured: Measured
    before: Decimal | None
    price: Decimal | None  # of one unit of the baseline's
    saved: Decimal | None  # in all cases together
    money: Decimal | None
    lacks: str


class Roi:
    definition = Definition(
        slug="roi",
        title="Saved against the baseline",
        unit=Unit.MONEY,
        better=Better.HIGHER,
        version=3,
        says="What the measured differences to the time before go-live are worth under the stated assumptions.",
        formula="sum over the lines of (baseline - measured mean) x cases x assumption; a line without a baseline, an "
        "assumption or cases is not in the sum.",
        splits=(By.LABEL,),
        span=Span.QUARTER,
        drill="line",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return (Need(_MEASURES), _INVOICES, needed(None))

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        if source.as_of is None:
            return {}
        given, measured = stated(source), _measured(source)
        if by is By.LABEL:
            return {key: Inputs({key: one}, given) for key, one in measured.items()}
        return {"": Inputs(measured, given)}

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        reporting = source.estate.group.reporting_currency
        savings = [_saving(line, inputs.measured[line.key], inputs.given, reporting) for line in LINES
                   if line.key in inputs.measured]  # fmt: skip
        counted = [one.money for one in savings if one.money is not None]
        return Answer(
            value=sum(counted, Decimal(0)) if counted else None,
            n=len(counted),
            excluded={one.lacks: 1 for one in savings if one.money is None},
            figures=tuple(figure for one in savings for figure in _figures(one, inputs.given)),
            why_none="" if counted else _why_none(inputs, savings),
        )

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        """The lines of the sum; what makes a line is behind the KPI that measures it."""
        if source.as_of is None:
            return few((), _COLUMNS, adds="worth", after=after, limit=limit)
        given, measured, reporting = stated(source), _measured(source), source.estate.group.reporting_currency
        savings = (_saving(line, measured[line.key], given, reporting) for line in LINES)
        return few((_row(one) for one in savings if one.money is not None), _COLUMNS, adds="worth", after=after,
                   limit=limit)  # fmt: skip


def _measured(source: Source) -> dict[str, Measured]:
    """Two statements and what the forecasts need."""
    n: dict[str, int] = {}
    amounts: dict[str, Decimal] = {}
    for cell in (*source.cells(_MEASURES), *source.cells_of(_INVOICES)):
        n[cell.measure] = n.get(cell.measure, 0) + cell.n
        amounts[cell.measure] = amounts.get(cell.measure, Decimal(0)) + cell.amount

    def count(measure: str) -> int:
        return n.get(measure, 0)

    def hours(measure: str) -> Measured:
        return Measured(amounts.get(measure, Decimal(0)) / _HOUR, count(measure))

    made = count("contract.provisioned") + count("contract.before_signature")
    found = count("contract.before_signature") + count("contract.corrected_any")
    foreseen = forecasts(source, None).get("")
    errors = [abs(m.error) / m.billed for m in foreseen.months if m.billed > 0] if foreseen else []
    return {
        "setup": hours("contract.cycle_work"),
        "touches": Measured(Decimal(count("contract.touched")), count("contract.provisioned")),
        "disputes": Measured(Decimal(count("invoice.disputed")), count("invoice.issued")),
        "findings": Measured(Decimal(found), made),
        "mismatches": Measured(Decimal(count("invoice.sync")), count("invoice.issued")),
        "amendments": hours("amendment.lag_work"),
        "forecast": Measured(sum(errors, Decimal(0)), len(errors)),
    }


def _saving(line: Line, measured: Measured, given: StatedNumbers, reporting: str) -> Saving:
    """Its money is rounded, so that the lines that are shown add up to the headline."""
    before = given.baseline.get(line.baseline)
    priced = [given.assumptions.get(name) for name in line.assumptions]
    prices = [one.value for one in priced if one is not None]
    price = Decimal(line.units) if len(prices) == len(priced) else None
    for one in prices if price is not None else ():
        price = price * one if price is not None else None
    saved = None if before is None or not measured.cases else before.value * measured.cases - measured.total
    missing = next((name for name, one in zip(line.assumptions, priced, strict=True) if one is None), None)
    lacks = (
        f"{line.key}: no baseline ({line.baseline})" if before is None
        else f"{line.key}: nothing measured in the window" if not measured.cases
        else f"{line.key}: no assumption ({missing})" if missing
        else ""
    )  # fmt: skip
    money = None if saved is None or price is None else rounded(saved * price, reporting)
    return Saving(line, measured, before.value if before else None, price, saved, money, lacks)


def _figures(one: Saving, given: StatedNumbers) -> Iterator[Figure]:
    """The measured part first, then what was stated, then the product."""
    line = one.line
    yield Figure(f"{line.key}_measured", f"{line.label}, measured", one.measured.mean, line.unit, line.note)
    yield Figure(f"{line.key}_cases", f"{line.label}, cases", one.measured.cases, Unit.COUNT, "measured")
    source = given.baseline[line.baseline].reason if line.baseline in given.baseline else "no baseline"
    yield Figure(f"{line.key}_baseline", f"{line.label}, baseline", one.before, line.unit, f"stated: {source}")
    # Of shares the cases themselves: invoices that were not disputed, shares of months that were foreseen better.
    unit = Unit.RATIO if line.unit is Unit.SHARE else line.unit
    yield Figure(f"{line.key}_saved", f"{line.label}, saved in all cases", one.saved, unit, one.lacks or line.saves)
    for name in line.assumptions:
        known = given.assumptions.get(name)
        words = f"assumed as {wording.finest(known.value)}: {known.reason}" if known else "no assumption"
        unit = Unit.MONEY if name.startswith("cost_") else Unit.RATIO
        yield Figure(f"{line.key}_{name}", ASSUMPTIONS[name].says, known.value if known else None, unit, words)
    yield Figure(f"{line.key}_money", f"{line.label}, worth", one.money, Unit.MONEY, one.lacks)


_COLUMNS: Final = (
    Column("line", "Line"), Column("cases", "Cases", Unit.COUNT), Column("unit", "Of a case, in"),
    Column("baseline", "Baseline", Unit.RATIO), Column("measured", "Measured", Unit.RATIO),
    Column("saved", "Saved in all cases", Unit.RATIO), Column("price", "Worth of one, assumed", Unit.MONEY),
    Column("worth", "Worth", Unit.MONEY),
)  # fmt: skip


def _row(one: Saving) -> dict[str, object]:
    return {
        "line": one.line.label, "cases": one.measured.cases, "unit": one.line.unit.value.replace("_", " "),
        "baseline": one.before, "measured": one.measured.mean, "saved": one.saved, "price": one.price,
        "worth": one.money,
    }  # fmt: skip


def _why_none(inputs: Inputs, savings: list[Saving]) -> str:
    if not inputs.given.baseline:
        return "no baseline: import one with `tieline baseline import FILE`"
    return "; ".join(one.lacks for one in savings if one.lacks) or "nothing was measured yet"


KPI = Roi()
