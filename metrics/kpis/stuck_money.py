"""Money that stands between what was signed and what the ERPs confirmed, and how much of it the next bill run misses.

One amount a contract, the distance between two states, however many steps lie between them. Where it differs in several
ways it is the largest of them that counts: a new milestone is money of the new value too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from metrics.asking import By
from metrics.cells import Need
from metrics.converted import money, without_rate
from metrics.drilling import Known, Listing, drill
from metrics.exposures import HEADLINE, WALKS, lanes, stuck
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Span, Unit
from metrics.rates import Converted, Rates, rates_of, worth
from metrics.reading import merged
from metrics.source import Source, chosen
from metrics.stuck_cells import FIRST_CAUSE, bound, cells


class Cause(StrEnum):
    """In which way a contract differs most."""

    BLOCKER = FIRST_CAUSE  # nothing of it can be billed right: it stopped before its first activation, or its PO, tax
    VALUE = "value"
    RATES = "rates"
    SCHEDULE = "schedule"


# By the number of `age`.
AGES: Final = {"age_0_1": "less than 1 working day", "age_1_3": "1 to 3 working days", "age_3_up": "3 and more"}
_CONVERTED: Final = ("gross", "net", "misses")
_ADDED: Final = (*_CONVERTED, "money_days")
_ROUNDED: Final = (*_CONVERTED, *AGES)  # of each contract, so that its rows add up to them
_SUMS: Final = (*_ROUNDED, "money_days")


@dataclass(frozen=True, slots=True)
class Stuck:
    """Contracts alike in cause and certainty."""

    n: int = 0
    sums: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)  # by name of _SUMS, then by currency
    worth: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)  # those of _ROUNDED that have a rate
    oldest: datetime | None = None

    def __add__(self, other: "Stuck") -> "Stuck":
        known = [one for one in (self.oldest, other.oldest) if one is not None]
        sums = {name: merged(self.sums.get(name, {}), other.sums.get(name, {})) for name in _SUMS}
        worths = {name: merged(self.worth.get(name, {}), other.worth.get(name, {})) for name in _ROUNDED}
        return Stuck(self.n + other.n, sums, worths, min(known, default=None))


@dataclass(frozen=True, slots=True)
class Inputs:
    verified: Mapping[str, Stuck] = field(default_factory=dict)  # by cause
    unverified: Stuck = field(default_factory=Stuck)
    in_step: int = 0  # on their way, without a difference in money
    test: int = 0
    rates: Rates | None = None

    def __add__(self, other: "Inputs") -> "Inputs":
        causes = self.verified.keys() | other.verified.keys()
        return Inputs(
            {cause: self.of(cause) + other.of(cause) for cause in causes},
            self.unverified + other.unverified,
            self.in_step + other.in_step,
            self.test + other.test,
            self.rates or other.rates,
        )

    def of(self, cause: str) -> Stuck:
        return self.verified.get(cause, Stuck())


class StuckMoney:
    definition = Definition(
        slug="stuck-money",
        title="Revenue-impacting changes stuck",
        unit=Unit.MONEY,
        better=Better.LOWER,
        version=4,
        says="So much money differs between what was signed and what the ERPs have confirmed.",
        formula="sum over contracts of |signed state - ERP-confirmed state|: the largest of the value that differs, "
        "the rates that differ times the hours that remain, what the next bill run would bill wrong, and all that is "
        "unbilled where nothing can be billed right.",
        splits=(By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING, By.LABEL),
        span=Span.STATE,
        drill="contract",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return ()

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        if source.as_of is None:
            return {}
        rates = rates_of(source)
        # By legal entity even where nobody asked: one statement for the headline, most splits, and the rows behind.
        group = By.LEGAL_ENTITY if by in (None, By.LABEL) else by
        parts: dict[str, Inputs] = {}
        for row in cells(source, group):
            part = "" if by is None else row.cause if by is By.LABEL else row.grp
            parts[part] = parts.get(part, Inputs()) + _inputs(row, rates)
        return parts

    def headline_needs(self) -> Sequence[Need]:
        return ()

    def headline_inputs(self, source: Source) -> Inputs:
        """All as if of one cause."""
        rates, total = rates_of(source), Stuck()
        for row in source.run(HEADLINE.format(valid=source.valid()), **bound(source)):
            converted = {} if row.worth is None else {"gross": {row.currency: row.worth}}
            total += Stuck(row.n, {"gross": {row.currency: row.gross}}, converted)
        return Inputs({Cause.BLOCKER: total} if total.n else {}, rates=rates)

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        total = sum(inputs.verified.values(), Stuck())
        rates = inputs.rates or Rates(source.estate.group.reporting_currency)
        gross, unverified = _sum(total, "gross", rates), _part(inputs.unverified, rates)
        return Answer(
            value=gross.amount if total.n else None,
            n=total.n,
            n_open=total.n + inputs.unverified.n,
            excluded={"on its way, no money differs": inputs.in_step, "test contract": inputs.test,
                      "unverified": inputs.unverified.n},
            figures=(
                *_amounts(total, rates),
                *without_rate("unconverted", "Stuck", gross),
                *_causes(inputs, rates),
                money("unverified", "Unverified", unverified, "a write was sent and got no answer; in no other sum"),
                *without_rate("unverified_unconverted", "Unverified", unverified),
                Figure("unverified_contracts", "Unverified contracts", inputs.unverified.n, Unit.COUNT),
                Figure("oldest", "Oldest", _age(total.oldest, source), Unit.DAYS,
                       "" if total.oldest is None else f"since {total.oldest:%Y-%m-%d %H:%M} UTC"),
            ),
            why_none=_why_none(total, gross, rates.reporting),
            rate_dates=gross.rate_dates,
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        binds = bound(source)
        if not source.latest:
            return drill(source, _LISTING, after=after, limit=limit, bound=binds)
        total = sum(sum(self.read(source, By.LEGAL_ENTITY).values(), Inputs()).verified.values(), Stuck())
        rates = rates_of(source)
        known = Known(total.n, _sum(total, "gross", rates).amount)
        binds |= lanes(total.sums.get("gross", ()), rates)
        return drill(source, _LISTING, after=after, limit=limit, known=known, walks=WALKS, bound=binds)


def _inputs(row: sa.Row[*tuple[Any, ...]], rates: Rates) -> Inputs:
    if row.test:
        return Inputs(test=row.contracts, rates=rates)
    sums = {name: {row.currency: getattr(row, name) or Decimal(0)} for name in _ADDED}
    worths: dict[str, Mapping[str, Decimal]] = {}
    if rates.convert(Decimal(1), row.currency) is not None:
        worths = {name: {row.currency: getattr(row, f"{name}_worth") or Decimal(0)} for name in _CONVERTED}
    nothing = {row.currency: Decimal(0)}
    for number, age in enumerate(AGES):
        sums[age] = sums["gross"] if number == row.age else nothing
        if worths:
            worths[age] = worths["gross"] if number == row.age else nothing
    found = Stuck(row.stuck, sums, worths, row.oldest)
    if row.unverified:
        return Inputs(unverified=found if row.stuck else Stuck(), rates=rates)
    verified = {row.cause: found} if row.stuck else {}
    return Inputs(verified, in_step=row.contracts - row.stuck, rates=rates)


def _sum(stuck: Stuck, name: str, rates: Rates) -> Converted:
    if not stuck.n:
        return Converted(None)
    parts = stuck.sums.get(name, {})
    return rates.summed(parts, stuck.worth.get(name, {})) if name in _ROUNDED else rates.total(parts)


def _part(stuck: Stuck, rates: Rates) -> Converted:
    """Of no contract it is zero."""
    return _sum(stuck, "gross", rates) if stuck.n else Converted(Decimal(0))


def _why_none(total: Stuck, gross: Converted, reporting: str) -> str:
    if not total.n:
        return "every signed contract is what its ERP confirmed"
    if gross.amount is None:
        return f"no exchange rate for {', '.join(sorted(gross.unconverted))} to {reporting}"
    return ""


def _amounts(total: Stuck, rates: Rates) -> Iterator[Figure]:
    yield money("gross", "Gross", _sum(total, "gross", rates), "sum of the absolute differences")
    yield money("net", "Net", _sum(total, "net", rates),
                "signed less confirmed: above 0 the ERPs would bill too little")  # fmt: skip
    yield money("misses_bill_run", "Misses the next bill run", _sum(total, "misses", rates),
                "of it, what should be billed by the next run of its legal entity")  # fmt: skip
    yield money("money_days", "Money-days", _sum(total, "money_days", rates),
                "each difference times the working days it has stood", Unit.MONEY_DAYS)  # fmt: skip
    for age, words in AGES.items():
        yield money(age, f"For {words}", _sum(total, age, rates))


def _causes(inputs: Inputs, rates: Rates) -> Iterator[Figure]:
    for cause in Cause:
        stuck = inputs.of(cause)
        yield money(f"cause_{cause}", f"By {cause}", _part(stuck, rates))
        yield Figure(f"cause_{cause}_contracts", f"By {cause}, contracts", stuck.n, Unit.COUNT)


def _age(since: datetime | None, source: Source) -> float | None:
    return None if since is None or source.as_of is None else (source.as_of - since).total_seconds() / 86_400


_LISTING: Final = Listing(
    rows=f"""
        SELECT s.contract_id, s.legal_entity, s.state, s.cause, array_to_string(s.causes, ', ') AS exceptions, s.since,
               CAST(s.waited_s AS numeric) / s.day_s AS working_days, s.target_value, s.erp_value, s.billed,
               s.gross AS exposure, s.net, s.misses, s.currency, c.external_id AS contract, c.title,
               {worth("s.gross", "s.rate")} AS exposure_reporting, s.gross * s.rate AS place
        FROM ({stuck("f.contract_id, f.legal_entity, f.state, f.causes, f.since, f.erp_value",
                     f"{{valid}} AND {chosen('f')} AND NOT f.test AND NOT f.unverified")}) AS s
             LEFT JOIN core.contract AS c ON c.contract_id = s.contract_id
        WHERE s.gross <> 0
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("legal_entity", "Legal entity"),
        Column("cause", "Differs by"), Column("exceptions", "Open exceptions"), Column("state", "State"),
        Column("since", "Since"), Column("working_days", "Working days", Unit.WORKING_DAYS),
        Column("target_value", "Signed", currency="currency"), Column("erp_value", "In the ERP", currency="currency"),
        Column("billed", "Billed", currency="currency"),
        Column("exposure", "Stuck", currency="currency"), Column("net", "Net", currency="currency"),
        Column("misses", "Misses the next bill run", currency="currency"),
        Column("currency", "Currency"), Column("exposure_reporting", "Stuck, converted", Unit.MONEY),
    ),
    order="place",
    key="contract_id",
    adds="exposure_reporting",
)  # fmt: skip

KPI = StuckMoney()
