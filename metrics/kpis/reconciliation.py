"""From signed to paid, contract by contract: signed, in the ERP, billed, recognised, left, and what nobody explains."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from metrics.asking import By
from metrics.cells import Need
from metrics.converted import money, without_rate
from metrics.drilling import Known, Listing, drill
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Span, Unit
from metrics.rates import Rates, rated, rates_of, worth
from metrics.reading import group_of
from metrics.source import Source, chosen

_STOCK: Final = {"start": date(1970, 1, 1), "end": date(1970, 1, 2)}
_SUMS: Final = {
    "signed": ("Signed", "value of the signed contracts"),
    "in_erp": ("In the ERP", "contract value as the ERPs confirmed it"),
    "billed": ("Billed", "invoices"),
    "credited": ("Credited", "credit notes"),
    "paid": ("Paid", ""),
    "remaining": ("Remaining", "what the ERPs have left to bill"),
}
_EXPLAINED: Final = {
    "not_provisioned": ("Explained: not in the ERP yet", "never active; see the money that is stuck"),
    "on_its_way": ("Explained: a change is on its way", "it is out of step; see the money that is stuck"),
    "ended": ("Explained: the contract ended", "what was not billed by then"),
    "not_reported": ("Explained: not reported", "its ERP does not say what value it holds"),
}
# Of contracts whose ERPs report revenue: they are `heard`. Of others an ERP reports none, or was not asked yet whether
# it does; which one it is, is the label of `<kind>_erp`.
_EARNED: Final = {
    "recognised": ("Recognised", "revenue as the ERPs posted it, less what they reversed"),
    "deferred": ("Billed and not recognised", "less credit notes; deferred revenue"),
    "accrued": ("Recognised and not billed", "accrued revenue"),
}
_SILENT, _UNASKED = "silent", "unasked"
_NAMED: Final = tuple(f"{kind}_erp" for kind in (_SILENT, _UNASKED))
_APART: Final = {
    _SILENT: ("without_revenue", "Contracts whose revenue is not reported", "by"),
    _UNASKED: ("unasked_revenue", "Contracts whose ERP was not asked for revenue yet", "not asked yet:"),
}
_COUNTED: Final = ("contracts", "unexplained", "gap", "foreign", "test", "heard", _SILENT, _UNASKED, *_NAMED)
_MEASURES: Final = tuple(f"books.{name}" for name in (*_SUMS, *_EARNED, *_EXPLAINED, *_COUNTED))


# What each contract is worth is rounded, so that its rows add up to the headline: few, and they have an index.
_WORTH: Final = f"""
    SELECT {{group}} AS grp, f.currency, sum({worth("abs(f.unexplained)")}) AS worth
    FROM metrics.books_fact AS f {rated()}
    WHERE {{valid}} AND f.unexplained <> 0 AND NOT f.test AND {chosen("f")} GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Inputs:
    money: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)  # by measure, then by currency
    counts: Mapping[str, int] = field(default_factory=dict)  # by measure
    rates: Rates | None = None
    worth: Mapping[str, Decimal] = field(default_factory=dict)  # unexplained, converted contract by contract

    def __add__(self, other: "Inputs") -> "Inputs":
        names = self.money.keys() | other.money.keys()
        counted = self.counts.keys() | other.counts.keys()
        return Inputs(
            {name: _added(self.of(name), other.of(name)) for name in names},
            {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in counted},
            self.rates or other.rates,
            _added(self.worth, other.worth),
        )

    def of(self, name: str) -> Mapping[str, Decimal]:
        return self.money.get(name, {})

    def erps(self, kind: str) -> str:
        """Those that report no revenue, or were not asked yet. A split by currency does not tell which."""
        begin = f"{kind}_erp:"
        named = [name.removeprefix(begin) for name, n in sorted(self.counts.items()) if name.startswith(begin) and n]
        return ", ".join(named) or "their ERPs"


def _added(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {c: one.get(c, Decimal(0)) + other.get(c, Decimal(0)) for c in one.keys() | other.keys()}


class Reconciliation:
    definition = Definition(
        slug="reconciliation",
        title="Signed to billed, unexplained",
        unit=Unit.MONEY,
        better=Better.LOWER,
        version=4,
        says="So much of the signed value is neither billed nor left to bill, and nothing on record says why.",
        formula="sum over signed contracts of |signed - (billed - credited + remaining in the ERP) - explained|; "
        "explained is at most what was never billed of a contract that ended or is not in its ERP, or by how much "
        "changes on their way move its value.",
        splits=(By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING, By.LABEL),
        target=0.0,
        target_says="nothing unexplained",
        span=Span.STATE,
        drill="contract",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return (Need(_MEASURES, by, start=_STOCK["start"], end=_STOCK["end"]),)

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        if source.as_of is None:
            return {}
        rates = rates_of(source)
        money: dict[str, dict[str, dict[str, Decimal]]] = {}
        counts: dict[str, dict[str, int]] = {}
        for cell in source.cells(_MEASURES, by, **_STOCK):
            name = cell.measure.partition(".")[2]
            if name in _NAMED:  # its label is no currency
                if by is By.LABEL:
                    continue
                name = f"{name}:{cell.label}"
            money.setdefault(cell.group, {}).setdefault(name, {})[cell.label] = cell.amount
            counted = counts.setdefault(cell.group, {})
            counted[name] = counted.get(name, 0) + cell.n
        worths: dict[str, dict[str, Decimal]] = {}
        for row in source.run(_WORTH.format(group=group_of(by, label="f.currency"), valid=source.valid())):
            worths.setdefault(row.grp, {})[row.currency] = row.worth or Decimal(0)
        return {group: Inputs(money[group], counts[group], rates, worths.get(group, {})) for group in money}

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        rates = inputs.rates or Rates(source.estate.group.reporting_currency)
        contracts, gaps = inputs.counts.get("contracts", 0), inputs.of("unexplained")
        unexplained = rates.summed(gaps, inputs.worth)
        none = "" if contracts else "nothing was signed"
        if unexplained.amount is None and unexplained.unconverted:
            none = f"there is no rate for {', '.join(sorted(unexplained.unconverted))}"
        return Answer(
            value=None if none else unexplained.amount or Decimal(0),
            n=contracts,
            excluded={"test contract": inputs.counts.get("test", 0)},
            figures=(
                *(_sum(key, label, inputs.of(key), inputs, rates, note) for key, (label, note) in _SUMS.items()),
                *_earned(inputs, rates),
                *(_sum(key, label, inputs.of(key), inputs, rates, note) for key, (label, note) in _EXPLAINED.items()),
                _sum("unexplained_net", "Unexplained, net", inputs.of("gap"), inputs, rates,
                     "above 0 the ERPs have less than was signed"),
                Figure("unexplained_contracts", "Contracts with an unexplained difference",
                       inputs.counts.get("unexplained", 0), Unit.COUNT),
                Figure("other_currency", "Invoices, payments and revenue in another currency than their contract",
                       inputs.counts.get("foreign", 0), Unit.COUNT, "in no sum"),
                *_own(inputs),
                *_without(inputs, rates),
            ),
            why_none=none,
            rate_dates=unexplained.rate_dates,
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        """Of what is latest, the rollups know how many there are and what they add up to."""
        known = None
        if source.latest:
            all_of_it = self.answer(self.read(source, None).get("", Inputs()), source)
            known = Known(all_of_it.n, all_of_it.value if all_of_it.n else None)
        return drill(source, _LISTING, after=after, limit=limit, known=known)


def _sum(
    key: str, label: str, parts: Mapping[str, Decimal], inputs: Inputs, rates: Rates, note: str
) -> Figure:  # fmt: skip
    """Of nothing it is zero, as long as something was signed; None says why."""
    total = rates.total(parts)
    if total.amount is None and inputs.counts.get("contracts") and not total.unconverted:
        return Figure(key, label, Decimal(0), Unit.MONEY, note)
    if total.amount is None:
        without = ", ".join(sorted(total.unconverted))
        note = f"there is no rate for {without}" if without else "nothing was signed"
    return money(key, label, total, note)


def _earned(inputs: Inputs, rates: Rates) -> Iterator[Figure]:
    """Revenue of those whose ERPs report it. Of none of them there is no number, and it is said whose ERPs do not, and
    which were not asked yet.
    """
    apart = [kind for kind in _APART if inputs.counts.get(kind)]
    begins = {_SILENT: "not reported by", _UNASKED: "not asked yet:"}
    missing = "; ".join(f"{begins[kind]} {inputs.erps(kind)}" for kind in apart)
    if apart and not inputs.counts.get("heard"):
        for key, (label, _) in _EARNED.items():
            yield Figure(key, label, None, Unit.MONEY, missing)
        return
    for key, (label, words) in _EARNED.items():
        yield _sum(key, label, inputs.of(key), inputs, rates, f"{words}; {missing}" if apart else words)
    for kind in apart:
        key, label, by = _APART[kind]
        yield Figure(key, label, inputs.counts[kind], Unit.COUNT, f"{by} {inputs.erps(kind)}")
        yield _sum(f"{key}_billed", "Billed of them", inputs.of(kind), inputs, rates, "less credit notes")


def _own(inputs: Inputs) -> Iterator[Figure]:
    """Each sum in its own currency, `<sum>:<currency>`: what a split by currency adds up in."""
    sums = {**_SUMS, **_EARNED}
    for name, label in (*((key, words[0]) for key, words in sums.items()), ("gap", "Unexplained, net")):
        for currency, amount in sorted(inputs.of(name).items()):
            yield Figure(f"{name}:{currency}", f"{label}, {currency}", amount, Unit.MONEY, currency=currency)


def _without(inputs: Inputs, rates: Rates) -> Iterator[Figure]:
    without = "there is no rate, so it is in the counts and in no converted sum"
    yield from without_rate("unconverted", "Signed", rates.total(inputs.of("signed")), without)


_LISTING: Final = Listing(
    rows=f"""
        SELECT f.contract_id, c.external_id AS contract, c.title, f.legal_entity, f.currency, f.signed, f.erp_value,
               f.billed, f.credited, f.paid, f.recognised, f.billed - f.credited - f.recognised AS deferred, f.erp,
               f.remaining, f.explained, f.gap,
               f.unexplained, {worth("abs(f.unexplained)")} AS unexplained_reporting
        FROM metrics.books_fact AS f LEFT JOIN core.contract AS c ON c.contract_id = f.contract_id
             {rated()}
        WHERE {{valid}} AND NOT f.test AND {chosen("f")}
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("legal_entity", "Legal entity"),
        Column("currency", "Currency"), Column("signed", "Signed", currency="currency"),
        Column("erp_value", "In the ERP", currency="currency"),
        Column("billed", "Billed", currency="currency"), Column("credited", "Credited", currency="currency"),
        Column("paid", "Paid", currency="currency"), Column("recognised", "Recognised", currency="currency"),
        Column("deferred", "Billed less recognised", currency="currency"), Column("erp", "ERP"),
        Column("remaining", "Remaining", currency="currency"), Column("explained", "Explained by"),
        Column("gap", "Difference", currency="currency"),
        Column("unexplained_reporting", "Unexplained, converted", Unit.MONEY),
    ),
    order="unexplained_reporting",
    key="contract_id",
    adds="unexplained_reporting",
    some="r.unexplained <> 0",
)  # fmt: skip

KPI = Reconciliation()
