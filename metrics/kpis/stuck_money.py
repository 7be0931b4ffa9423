"""Money that stands between what was signed and what the ERPs confirmed, and how much of it the next bill run misses.

One amount a contract, the distance between two states, however many steps lie between them. Where it differs in several
ways it is the largest of them that counts: a new milestone is money of the new value too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from metrics.asking import By
from metrics.drilling import Listing, drill
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Unit, Value
from metrics.rates import KNOWN_RATES, Converted, Rates, rates_of
from metrics.reading import group_of
from metrics.source import Source, chosen
from sync_core.bill_runs import next_bill_run
from sync_core.estate import Estate


class Cause(StrEnum):
    """In which way a contract differs most."""

    BLOCKER = "blocker"  # nothing of it can be billed right: it stopped before its first activation, or its PO, tax
    VALUE = "value"
    RATES = "rates"
    SCHEDULE = "schedule"


# The calendar of an entity that nobody knows is the group's. OFFSET 0: see metrics/reading.py.
_CALENDARS: Final = """
    LEFT JOIN (SELECT calendar, metrics.worked(calendar, :as_of) AS worked, day_s FROM metrics.calendar OFFSET 0)
        AS own ON own.calendar = f.legal_entity
    CROSS JOIN (SELECT metrics.worked('', :as_of) AS worked, day_s FROM metrics.calendar WHERE calendar = '' OFFSET 0)
        AS groups
    LEFT JOIN jsonb_to_recordset(CAST(:runs AS jsonb)) AS run(entity text, run_on date) ON run.entity = f.legal_entity
"""
# Until the cut-off of its next bill run (without one, until the day that was asked for): what should be billed, and
# what the ERP would bill wrong. The first day is looked at before the list is opened, and the largest is found once
# (OFFSET 0): 32 ms instead of 81 ms for 7,000 contracts.
_DUE: Final = """
    LEFT JOIN LATERAL (
        SELECT sum(d.target) AS target, sum(d.net) AS net FROM unnest(f.due_on, f.due_target, f.due_net)
            AS d(bill_on, target, net)
        WHERE d.bill_on <= coalesce(run.run_on, :today) AND f.first_due <= coalesce(run.run_on, :today)
    ) AS due ON true
    CROSS JOIN LATERAL (
        SELECT abs(coalesce(due.net, 0)) AS schedule, coalesce(due.net, 0) AS schedule_net,
               greatest(coalesce(due.target, 0) - f.billed, 0) AS unbilled
    ) AS at_run
    CROSS JOIN LATERAL (
        SELECT greatest(f.blocked, abs(f.value_gap), f.rates_gross, at_run.schedule) AS gross OFFSET 0
    ) AS most
    CROSS JOIN LATERAL (
        SELECT CASE most.gross WHEN f.blocked THEN 'blocker' WHEN abs(f.value_gap) THEN 'value'
                               WHEN f.rates_gross THEN 'rates' ELSE 'schedule' END AS cause
    ) AS why
    CROSS JOIN LATERAL (
        SELECT CASE why.cause WHEN 'blocker' THEN f.blocked WHEN 'value' THEN f.value_gap WHEN 'rates' THEN f.rates_net
                              ELSE at_run.schedule_net END AS net,
               CASE WHEN run.run_on IS NULL THEN 0 ELSE least(most.gross, CASE
                   WHEN why.cause = 'blocker' OR NOT f.provisioned THEN at_run.unbilled
                   WHEN why.cause = 'rates' THEN CASE WHEN f.target_value > f.billed
                        THEN f.rates_gross * least(at_run.unbilled / (f.target_value - f.billed), 1) ELSE 0 END
                   ELSE at_run.schedule END) END AS misses,
               CAST(greatest(coalesce(own.worked, groups.worked) - f.since_work_s, 0) AS numeric)
                   / coalesce(own.day_s, groups.day_s) AS working_days
    ) AS x
"""
_FROM: Final = f"""
    FROM metrics.exposure_fact AS f {_CALENDARS} {_DUE} WHERE {{valid}} AND {chosen("f")}
"""
_STUCK: Final = f"""
    SELECT {{group}} AS grp, f.test, f.unverified, why.cause, f.currency, count(*) AS contracts,
           count(*) FILTER (WHERE most.gross <> 0) AS stuck, sum(most.gross) AS gross, sum(x.net) AS net,
           sum(x.misses) AS misses, sum(most.gross * x.working_days) AS money_days,
           sum(most.gross) FILTER (WHERE x.working_days < 1) AS age_0_1,
           sum(most.gross) FILTER (WHERE x.working_days >= 1 AND x.working_days < 3) AS age_1_3,
           sum(most.gross) FILTER (WHERE x.working_days >= 3) AS age_3_up,
           min(f.since) FILTER (WHERE most.gross <> 0) AS oldest
    {_FROM} GROUP BY 1, 2, 3, 4, 5
"""
AGES: Final = {"age_0_1": "less than 1 working day", "age_1_3": "1 to 3 working days", "age_3_up": "3 and more"}
_SUMS: Final = ("gross", "net", "misses", "money_days", *AGES)


@dataclass(frozen=True, slots=True)
class Stuck:
    """Contracts alike in cause and certainty."""

    n: int = 0
    sums: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)  # by name of _SUMS, then by currency
    oldest: datetime | None = None

    def __add__(self, other: "Stuck") -> "Stuck":
        known = [one for one in (self.oldest, other.oldest) if one is not None]
        return Stuck(self.n + other.n, {name: self._sum(name, other) for name in _SUMS}, min(known, default=None))

    def _sum(self, name: str, other: "Stuck") -> dict[str, Decimal]:
        found = dict(self.sums.get(name, {}))
        for currency, amount in other.sums.get(name, {}).items():
            found[currency] = found.get(currency, Decimal(0)) + amount
        return found


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
        version=1,
        says="So much money differs between what was signed and what the ERPs have confirmed.",
        formula="sum over contracts of |signed state - ERP-confirmed state|: the largest of the value that differs, "
        "the rates that differ times the hours that remain, what the next bill run would bill wrong, and all that is "
        "unbilled where nothing can be billed right.",
        splits=(By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING, By.LABEL),
        drill="contract",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        if source.as_of is None:
            return {}
        rates = rates_of(source)
        sql = _STUCK.format(group=group_of(by, label="why.cause"), valid=source.valid())
        parts: dict[str, Inputs] = {}
        for row in source.run(sql, **_bound(source)):
            parts[row.grp] = parts.get(row.grp, Inputs()) + _inputs(row, rates)
        return parts

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        total = sum(inputs.verified.values(), Stuck())
        rates = inputs.rates or Rates(source.estate.group.reporting_currency)
        gross = rates.total(total.sums.get("gross", {}))
        return Answer(
            value=gross.amount if total.n else None,
            n=total.n,
            n_open=total.n + inputs.unverified.n,
            excluded={"on its way, no money differs": inputs.in_step, "test contract": inputs.test,
                      "unverified": inputs.unverified.n},
            figures=(
                *_amounts(total, rates),
                *(Figure(f"unconverted_{currency}", f"Stuck in {currency}", amount, Unit.RATIO,
                         f"in {currency}: there is no rate, so it is in no sum")
                  for currency, amount in sorted(gross.unconverted.items())),
                *_causes(inputs, rates),
                Figure("unverified", "Unverified", _money(inputs.unverified, "gross", rates), Unit.MONEY,
                       "a write was sent and got no answer; in no other sum"),
                Figure("unverified_contracts", "Unverified contracts", inputs.unverified.n, Unit.COUNT),
                Figure("oldest", "Oldest", _age(total.oldest, source), Unit.DAYS,
                       "" if total.oldest is None else f"since {total.oldest:%Y-%m-%d %H:%M} UTC"),
            ),
            why_none=_why_none(total, gross, rates.reporting),
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        return drill(source, _LISTING, after=after, limit=limit, bound=_bound(source))


def _bound(source: Source) -> dict[str, object]:
    moment = source.as_of or datetime.min.replace(tzinfo=UTC)
    today = moment.astimezone(ZoneInfo(source.estate.group.timezone)).date()
    return {"runs": orjson.dumps(cut_offs(source.estate, moment)).decode(), "today": today}


def cut_offs(estate: Estate, at: datetime) -> list[dict[str, str]]:
    """The local day of each legal entity's next bill run after `at`."""
    runs = [(entity, next_bill_run(entity, at)) for entity in estate.entity]
    return [
        {"entity": entity.code, "run_on": run.astimezone(ZoneInfo(entity.timezone)).date().isoformat()}
        for entity, run in runs
        if run is not None
    ]


def _inputs(row: sa.Row[*tuple[Any, ...]], rates: Rates) -> Inputs:
    if row.test:
        return Inputs(test=row.contracts, rates=rates)
    sums = {name: {row.currency: getattr(row, name) or Decimal(0)} for name in _SUMS}
    found = Stuck(row.stuck, sums, row.oldest)
    if row.unverified:
        return Inputs(unverified=found, rates=rates)
    verified = {row.cause: found} if row.stuck else {}
    return Inputs(verified, in_step=row.contracts - row.stuck, rates=rates)


def _money(stuck: Stuck, name: str, rates: Rates) -> Value:
    return rates.total(stuck.sums.get(name, {})).amount if stuck.n else None


def _why_none(total: Stuck, gross: Converted, reporting: str) -> str:
    if not total.n:
        return "every signed contract is what its ERP confirmed"
    if gross.amount is None:
        return f"no exchange rate for {', '.join(sorted(gross.unconverted))} to {reporting}"
    return ""


def _amounts(total: Stuck, rates: Rates) -> Iterator[Figure]:
    yield Figure("gross", "Gross", _money(total, "gross", rates), Unit.MONEY, "sum of the absolute differences")
    yield Figure("net", "Net", _money(total, "net", rates), Unit.MONEY,
                 "signed less confirmed: above 0 the ERPs would bill too little")  # fmt: skip
    yield Figure("misses_bill_run", "Misses the next bill run", _money(total, "misses", rates), Unit.MONEY,
                 "of it, what should be billed by the next run of its legal entity")  # fmt: skip
    yield Figure("money_days", "Money-days", _money(total, "money_days", rates), Unit.MONEY_DAYS,
                 "each difference times the working days it has stood")  # fmt: skip
    for age, words in AGES.items():
        yield Figure(age, f"For {words}", _money(total, age, rates), Unit.MONEY)


def _causes(inputs: Inputs, rates: Rates) -> Iterator[Figure]:
    for cause in Cause:
        stuck = inputs.of(cause)
        yield Figure(f"cause_{cause}", f"By {cause}", _money(stuck, "gross", rates), Unit.MONEY)
        yield Figure(f"cause_{cause}_contracts", f"By {cause}, contracts", stuck.n, Unit.COUNT)


def _age(since: datetime | None, source: Source) -> float | None:
    return None if since is None or source.as_of is None else (source.as_of - since).total_seconds() / 86_400


_LISTING: Final = Listing(
    rows=f"""
        SELECT s.*, c.external_id AS contract, c.title,
               s.exposure * CASE s.currency WHEN :reporting THEN 1 ELSE r.rate END AS exposure_reporting
        FROM (
            SELECT f.contract_id, f.legal_entity, f.state, why.cause, array_to_string(f.causes, ', ') AS exceptions,
                   f.since, x.working_days, f.target_value, f.erp_value, f.billed, most.gross AS exposure, x.net,
                   x.misses, f.currency
            {_FROM} AND NOT f.test AND NOT f.unverified AND most.gross <> 0
        ) AS s LEFT JOIN core.contract AS c ON c.contract_id = s.contract_id
             LEFT JOIN ({KNOWN_RATES}) AS r ON r.currency = s.currency
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("legal_entity", "Legal entity"),
        Column("cause", "Differs by"), Column("exceptions", "Open exceptions"), Column("state", "State"),
        Column("since", "Since"), Column("working_days", "Working days", Unit.WORKING_DAYS),
        Column("target_value", "Signed"), Column("erp_value", "In the ERP"), Column("billed", "Billed"),
        Column("exposure", "Stuck"), Column("net", "Net"), Column("misses", "Misses the next bill run"),
        Column("currency", "Currency"), Column("exposure_reporting", "Stuck, converted", Unit.MONEY),
    ),
    order="exposure_reporting",
    key="contract_id",
    adds="exposure_reporting",
)  # fmt: skip

KPI = StuckMoney()
