"""Forecast accuracy: how far what a month's schedules foresaw on its first day was from what was billed in it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from metrics.asking import By
from metrics.drilling import Listing, drill
from metrics.forecasting import Forecasts, forecasts
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Unit
from metrics.months import MONTH
from metrics.rates import KNOWN_RATES
from metrics.source import Source, chosen


class ForecastAccuracy:
    definition = Definition(
        slug="forecast-accuracy",
        title="Billing forecast error",
        unit=Unit.SHARE,
        better=Better.LOWER,
        version=1,
        says="What the schedules foresaw for a month on its first day was this far from what was billed in it.",
        formula="mean over months of |forecast - billed| / billed (MAPE): milestones due in the month by the schedules "
        "in force on its first day, against invoices issued in it; months that are over and lie whole in the window.",
        splits=(By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING),
        target=0.1,
        target_says="suggested: within 10 %",
        drill="contract and month",
    )

    def nothing(self) -> Forecasts:
        return Forecasts()

    def read(self, source: Source, by: By | None) -> Mapping[str, Forecasts]:
        return {} if source.as_of is None else forecasts(source, by)

    def answer(self, inputs: Forecasts, source: Source) -> Answer:
        months = inputs.months
        billed = sum((m.billed for m in months), Decimal(0))
        total = sum((abs(m.error) for m in months), Decimal(0))
        scored = [m for m in months if m.billed > 0]
        return Answer(
            value=inputs.mape,
            n=len(scored),
            excluded={
                "invoice billed by time and materials": inputs.by_time,
                "month in which nothing was billed": len(months) - len(scored),
                "milestone of a test contract": inputs.test,
            },
            figures=(
                Figure("bias", "Bias", inputs.bias, Unit.SHARE,
                       "(forecast - billed) / billed of all months: above zero, too much was foreseen"),
                Figure("weighted", "Error weighted by amount", float(total / billed) if billed > 0 else None,
                       Unit.SHARE, "sum of |forecast - billed| / sum of billed"),
                Figure("forecast", "Forecast", sum((m.forecast for m in months), Decimal(0)) if months else None,
                       Unit.MONEY, _dates(inputs)),
                Figure("billed", "Billed", billed if months else None, Unit.MONEY, _dates(inputs)),
                Figure("milestones", "Milestones foreseen", inputs.milestones, Unit.COUNT),
                Figure("invoices", "Invoices issued", inputs.invoices, Unit.COUNT),
                *(Figure(f"unconverted_{currency}", f"Billed in {currency}", amount, Unit.RATIO,
                         f"in {currency}: there is no rate, so it is in neither sum")
                  for currency, amount in sorted(inputs.unconverted.items())),
            ),
            why_none="" if scored else "no month that is over lies whole in the window and had something billed",
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        return drill(source, _LISTING, after=after, limit=limit)


def _dates(inputs: Forecasts) -> str:
    if inputs.rates is None:
        return ""
    currencies = sorted({currency for _, currency in (*inputs.planned, *inputs.billed)})
    known = [(currency, inputs.rates.date_of(currency)) for currency in currencies]
    told = ", ".join(f"{currency} {day}" for currency, day in known if day is not None)
    return f"rates of {told}" if told else ""


_WHOLE: Final = """{0} >= :start
    AND {0} + interval '1 month' <= least(:end, CAST(CAST(:as_of AS timestamptz) AT TIME ZONE :zone AS date))"""
_ISSUED_IN: Final = "CAST(date_trunc('month', CAST(f.issued_on AS timestamp)) AS date)"
# A contract's month once: what was planned of it and what was billed, whichever of the two there is.
_LISTING: Final = Listing(
    rows=f"""
        SELECT m.*, c.external_id AS contract, c.title, abs(m.forecast - m.billed) * CASE m.currency
               WHEN :reporting THEN 1 ELSE r.rate END AS error_reporting
        FROM (
            SELECT f.contract_id * 65536 + 32768 + {MONTH.format("f.month")} AS place, f.contract_id, f.legal_entity,
                   f.month, f.currency, sum(f.forecast) AS forecast, sum(f.billed) AS billed
            FROM (
                SELECT f.contract_id, f.legal_entity, f.month, f.currency, f.amount AS forecast, 0 AS billed
                FROM metrics.schedule_fact AS f
                WHERE {{valid}} AND NOT f.test AND {chosen("f")} AND {_WHOLE.format("f.month")}
                UNION ALL
                SELECT f.contract_id, f.legal_entity, {_ISSUED_IN}, f.currency, 0, f.amount
                FROM metrics.invoice_fact AS f
                WHERE {{valid}} AND f.kind = 'invoice' AND NOT f.test AND f.billing <> 'time_and_materials'
                  AND {chosen("f")} AND f.issued_on >= :start AND f.issued_on < :end AND {_WHOLE.format(_ISSUED_IN)}
            ) AS f GROUP BY 1, 2, 3, 4, 5
        ) AS m LEFT JOIN core.contract AS c USING (contract_id)
             LEFT JOIN ({KNOWN_RATES}) AS r ON r.currency = m.currency
    """,
    columns=(
        Column("month", "Month"), Column("contract", "Contract"), Column("title", "Title"),
        Column("legal_entity", "Legal entity"), Column("forecast", "Foreseen"), Column("billed", "Billed"),
        Column("currency", "Currency"), Column("error_reporting", "Difference, converted", Unit.MONEY),
    ),
    order="error_reporting",
    key="place",
    adds=None,
)  # fmt: skip

KPI = ForecastAccuracy()
