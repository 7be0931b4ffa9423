"""Forecast accuracy: how far what a month's schedules foresaw on its first day was from what was billed in it."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from metrics.asking import By
from metrics.cells import Need
from metrics.converted import money, without_rate
from metrics.drilling import Known, Listing, drill
from metrics.forecasting import Forecasts, forecasts, needed, whole_months
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Span, Unit
from metrics.months import MONTH, month_of
from metrics.rates import Converted, rated, rates_of
from metrics.source import Source, chosen
from metrics.walking import BY_KEY, Walk


class ForecastAccuracy:
    definition = Definition(
        slug="forecast-accuracy",
        title="Billing forecast error",
        unit=Unit.SHARE,
        better=Better.LOWER,
        version=3,
        says="What the schedules foresaw for a month on its first day was this far from what was billed in it.",
        formula="mean over months of |forecast - billed| / billed (MAPE): milestones due in the month by the schedules "
        "in force on its first day, against invoices issued in it; months that are over and lie whole in the window.",
        splits=(By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING),
        target=0.1,
        target_says="suggested: within 10%",
        span=Span.QUARTER,
        drill="contract and month",
    )

    def nothing(self) -> Forecasts:
        return Forecasts()

    def needs(self, by: By | None) -> Sequence[Need]:
        return (needed(by),)

    def read(self, source: Source, by: By | None) -> Mapping[str, Forecasts]:
        return {} if source.as_of is None else forecasts(source, by)

    def answer(self, inputs: Forecasts, source: Source) -> Answer:
        months = inputs.months
        billed = sum((m.billed for m in months), Decimal(0))
        total = sum((abs(m.error) for m in months), Decimal(0))
        scored = [m for m in months if m.billed > 0]
        unpriced = inputs.unpriced
        planned, invoiced = inputs.total(inputs.planned), inputs.total(inputs.billed)
        signed = inputs.total(inputs.signed) if inputs.signatures else Converted(None)
        return Answer(
            value=inputs.mape,
            n=len(scored),
            excluded={
                "invoice billed by time and materials": inputs.by_time,
                "month in which nothing was billed": len(months) - len(scored) - len(unpriced),
                "month in which nothing billed has an exchange rate": len(unpriced),
                "milestone of a test contract": inputs.test,
            },
            figures=(
                Figure("bias", "Bias", inputs.bias, Unit.SHARE,
                       "(forecast - billed) / billed of all months: above zero, too much was foreseen"),
                Figure("weighted", "Error weighted by amount", float(total / billed) if billed > 0 else None,
                       Unit.SHARE, "sum of |forecast - billed| / sum of billed"),
                money("forecast", "Forecast", planned),
                money("billed", "Billed", invoiced),
                money("signed", "Signed", signed,
                      "of all contracts in these months: signatures, and what amendments executed in them changed"),
                Figure("signatures", "Contracts and amendments of value signed", inputs.signatures, Unit.COUNT),
                Figure("milestones", "Milestones foreseen", inputs.milestones, Unit.COUNT),
                Figure("invoices", "Invoices issued", inputs.invoices, Unit.COUNT),
                *without_rate("unconverted", "Billed", invoiced),
                *without_rate("forecast_unconverted", "Foreseen", planned),
                *without_rate("signed_unconverted", "Signed", signed),
            ),
            rate_dates={**planned.rate_dates, **invoiced.rate_dates},
            why_none="" if scored else "no month that is over lies whole in the window and had something billed",
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        if not source.latest:
            return drill(source, _LISTING, after=after, limit=limit)
        rates, whole, n = rates_of(source), set(whole_months(source)), 0
        priced: list[tuple[date, str, Decimal]] = []
        bare: list[tuple[date, str]] = []
        for cell in source.cells(("schedule.compared",)):
            month, rate = month_of(cell.bucket), rates.convert(Decimal(1), cell.label)
            if month in whole:
                n += cell.n
                bare += [(month, cell.label)] if rate is None else []
                priced += [] if rate is None else [(month, cell.label, rate)]
        bound = {
            "months": [m for m, _, _ in priced], "currencies": [c for _, c, _ in priced],
            "rates": [r for _, _, r in priced], "bare_months": [m for m, _ in bare],
            "bare_currencies": [c for _, c in bare],
        }  # fmt: skip
        return drill(source, _LISTING, after=after, limit=limit, known=Known(n, None), walks=_WALKS, bound=bound)


_WHOLE: Final = """f.month >= :start
    AND f.month + interval '1 month' <= least(:end, CAST(CAST(:as_of AS timestamptz) AT TIME ZONE :zone AS date))"""
_PLACE: Final = f"(f.contract_id * 65536 + 32768 + {MONTH.format('f.month')})"
_LISTING: Final = Listing(
    rows=f"""
        SELECT {_PLACE} AS place, f.contract_id, f.legal_entity, f.month, f.currency, f.amount AS forecast, f.billed,
               c.external_id AS contract, c.title, abs(f.amount - f.billed) * r.rate AS error_reporting
        FROM metrics.schedule_fact AS f LEFT JOIN core.contract AS c ON c.contract_id = f.contract_id
             {rated()}
        WHERE {{valid}} AND NOT f.test AND {chosen("f")} AND {_WHOLE}
    """,
    columns=(
        Column("month", "Month"), Column("contract", "Contract"), Column("title", "Title"),
        Column("legal_entity", "Legal entity"), Column("forecast", "Foreseen", currency="currency"),
        Column("billed", "Billed", currency="currency"),
        Column("currency", "Currency"), Column("error_reporting", "Difference, converted", Unit.MONEY),
    ),
    order="error_reporting",
    key="place",
    adds=None,
)  # fmt: skip

_ERROR: Final = "abs(f.amount - f.billed)"
_OF_LANE: Final = "f.month = lane.month AND f.currency = lane.currency"
_PRICED: Final = """
    unnest(CAST(:months AS date[]), CAST(:currencies AS text[]), CAST(:rates AS numeric[]))
        AS lane(month, currency, rate)"""
_BARE: Final = "unnest(CAST(:bare_months AS date[]), CAST(:bare_currencies AS text[])) AS lane(month, currency)"
# A place divided by its rate is not exact: the index begins a little before it.
_WALKS: Final = (
    Walk("schedule", "NOT f.test", _PRICED, _OF_LANE, f"{_ERROR} DESC", f"{_ERROR} * lane.rate",
         f"({_ERROR}, f.contract_id) <= (CAST(:order_after AS numeric) / lane.rate * 1.000001, :key_after / 65536)"
         f" AND ({_ERROR} * lane.rate, {_PLACE}) < (CAST(:order_after AS numeric), :key_after)",
         _PLACE, tie="f.contract_id"),
    Walk("schedule", "NOT f.test", _BARE, _OF_LANE, BY_KEY, "-1",
         f"(-1, {_PLACE}) < (CAST(:order_after AS numeric), :key_after)", _PLACE),
)  # fmt: skip

KPI = ForecastAccuracy()
