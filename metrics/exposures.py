"""Contracts that are out of step, each for itself: the money between its two states, and the largest of them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from metrics.drilling import Known
from metrics.rates import KNOWN_RATES, exact_worth, rates_of, worth
from metrics.source import Source, chosen
from metrics.walking import BY_KEY, ONE, Walk

# The calendar of an entity that nobody knows is the group's. OFFSET 0: see metrics/reading.py.
CALENDARS: Final = """
    LEFT JOIN (SELECT calendar, metrics.worked(calendar, :as_of) AS worked, day_s FROM metrics.calendar OFFSET 0)
        AS own ON own.calendar = f.legal_entity
    CROSS JOIN (SELECT metrics.worked('', :as_of) AS worked, day_s FROM metrics.calendar WHERE calendar = '' OFFSET 0)
        AS groups
    LEFT JOIN jsonb_to_recordset(CAST(:runs AS jsonb)) AS run(entity text, run_on date) ON run.entity = f.legal_entity
"""
# Until the cut-off of its next bill run (without one, until the day that was asked for): what should be billed, and
# what the ERP would bill wrong. What no bill day can change is settled in the fact. The first day is looked at before
# the lists are opened, and the largest, and what follows from it, is worked out once (OFFSET 0).
DUE: Final = """
    CROSS JOIN LATERAL (
        SELECT CASE WHEN f.first_due <= coalesce(run.run_on, :today)
                    THEN width_bucket(coalesce(run.run_on, :today), f.due_on) END AS nth
    ) AS day
    CROSS JOIN LATERAL (
        SELECT coalesce(f.due_net[day.nth], 0) AS schedule_net,
               greatest(coalesce(f.due_target[day.nth], 0) - f.billed, 0) AS unbilled
    ) AS due
    CROSS JOIN LATERAL (
        SELECT abs(due.schedule_net) AS schedule, due.schedule_net, due.unbilled
    ) AS at_run
    CROSS JOIN LATERAL (
        SELECT coalesce(f.settled, greatest(f.blocked, abs(f.value_gap), f.rates_gross, at_run.schedule)) AS gross
        OFFSET 0
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
               greatest(coalesce(own.worked, groups.worked) - f.since_work_s, 0) AS waited_s,
               coalesce(own.day_s, groups.day_s) AS day_s
        OFFSET 0
    ) AS x
"""

_CERTAIN: Final = "NOT f.test AND NOT f.unverified"
_UNSETTLED: Final = f"{_CERTAIN} AND f.settled IS NULL"
_RATED: Final = f"LEFT JOIN ({KNOWN_RATES}) AS r ON r.currency = f.currency"
# No cell has what a contract is worth: rates are of the moment that is asked for, and each contract's is rounded.
_SETTLED: Final = f"""
    SELECT f.currency, count(*) AS n, sum(f.settled) AS gross, sum({worth("f.settled")}) AS worth
    FROM metrics.exposure_fact AS f {_RATED}
    WHERE f.known_to IS NULL AND {_CERTAIN} AND f.settled <> 0 AND {chosen("f")} GROUP BY 1
"""
_REST: Final = f"""
    SELECT f.currency, count(*) AS n, sum(most.gross) AS gross, sum({worth("most.gross")}) AS worth
    FROM metrics.exposure_fact AS f {CALENDARS} {DUE} {_RATED}
    WHERE f.known_to IS NULL AND {_UNSETTLED} AND {chosen("f")} AND most.gross <> 0 GROUP BY 1
"""
_CONVERTED: Final = f"coalesce({exact_worth('most.gross')}, -1)"
_BEHIND: Final = "({0}, f.contract_id) < (CAST(:order_after AS numeric), :key_after)"
# The settled ones by currency, those without a rate last; all others are few, and worked out. A place divided by its
# rate is not exact: the index begins a little before it.
WALKS: Final = (
    Walk("exposure", f"{_CERTAIN} AND f.settled <> 0",
         "unnest(CAST(:currencies AS text[]), CAST(:rates AS numeric[])) AS lane(currency, rate)",
         "f.currency = lane.currency", "f.settled DESC", "f.settled * lane.rate",
         "f.settled <= CAST(:order_after AS numeric) / lane.rate * 1.000001"
         f" AND {_BEHIND.format('f.settled * lane.rate')}"),
    Walk("exposure", f"{_CERTAIN} AND f.settled <> 0", "unnest(CAST(:bare_currencies AS text[])) AS lane(currency)",
         "f.currency = lane.currency", BY_KEY, "-1", _BEHIND.format("-1")),
    Walk("exposure", f"{_UNSETTLED} AND most.gross <> 0", ONE, "true", f"{_CONVERTED} DESC", _CONVERTED,
         _BEHIND.format(_CONVERTED),
         joined=f"{CALENDARS} {DUE} {_RATED}"),
)  # fmt: skip


def ranked(source: Source, bound: Mapping[str, object]) -> tuple[Known, Mapping[str, object]]:
    """How many there are with their sum, of what is latest, and what WALKS bind; `bound` is what DUE binds."""
    settled, rest = source.run(_SETTLED), source.run(_REST, **bound)
    rates, worths = rates_of(source), [row.worth for row in (*settled, *rest) if row.worth is not None]
    priced = {row.currency: rates.convert(Decimal(1), row.currency) for row in settled}
    known = Known(sum(row.n for row in (*settled, *rest)), sum(worths, Decimal(0)) if worths else None)
    return known, {
        "currencies": [currency for currency, rate in priced.items() if rate is not None],
        "rates": [rate for rate in priced.values() if rate is not None],
        "bare_currencies": [currency for currency, rate in priced.items() if rate is None],
    }
