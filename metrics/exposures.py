"""Contracts that are out of step, each for itself: the money between its two states, and the largest of them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from metrics.rates import Rates, in_minor, rated
from metrics.source import chosen
from metrics.walking import BY_KEY, ONE, Walk

# Of each legal entity its working time until now and the day of its next bill run; the calendar of one that nobody
# knows is the group's. Worked out once, whatever the join. :runs binds the runs, :today the day that was asked for.
_ENTITIES: Final = """
    LEFT JOIN (
        WITH known AS MATERIALIZED (
            SELECT coalesce(k.calendar, run.entity) AS code, metrics.worked(k.calendar, :as_of) AS worked, k.day_s,
                   run.run_on
            FROM metrics.calendar AS k
                 FULL JOIN jsonb_to_recordset(CAST(:runs AS jsonb)) AS run(entity text, run_on date)
                 ON run.entity = k.calendar
        ) SELECT * FROM known
    ) AS own ON own.code = f.legal_entity
"""
# Until the cut-off of its next bill run (without one, until the day that was asked for): what should be billed, and
# what the ERP would bill wrong. The first day is looked at before the lists are opened.
_AT_RUN: Final = f"""
    {_ENTITIES} CROSS JOIN LATERAL (
        SELECT CASE WHEN f.first_due <= coalesce(own.run_on, :today)
                    THEN f.due_net[width_bucket(coalesce(own.run_on, :today), f.due_on)] ELSE 0 END AS net,
               CASE WHEN f.first_due <= coalesce(own.run_on, :today)
                    THEN f.due_target[width_bucket(coalesce(own.run_on, :today), f.due_on)] ELSE 0 END AS target
    ) AS due
"""
# The largest of the ways in which it differs. What no bill day can change is settled in the fact.
_GROSS: Final = "coalesce(f.settled, greatest(f.blocked, abs(f.value_gap), f.rates_gross, abs(due.net)))"
_UNBILLED: Final = "greatest(c.due_target - c.billed, 0)"


def stuck(columns: str, where: str, *, all_of_them: bool = False) -> str:
    """SELECT of exposures `f` that meet `where`: with `columns` of the fact, and gross, net, misses, cause, rate,
    waited_s and day_s.

    `all_of_them`: for sums over all that meet `where`. OFFSET 0 keeps PostgreSQL from working the first of these out
    again wherever they are used, and keeps conditions from outside out: a listing, which asks for few, is without it.
    """
    return f"""
        SELECT c.*, CASE c.cause WHEN 'blocker' THEN c.blocked WHEN 'value' THEN c.value_gap WHEN 'rates' THEN
                   c.rates_net ELSE c.due_net END AS net,
               CASE WHEN c.run_on IS NULL THEN 0 ELSE least(c.gross, CASE
                   WHEN c.cause = 'blocker' OR NOT c.provisioned THEN {_UNBILLED}
                   WHEN c.cause = 'rates' THEN CASE WHEN c.target_value > c.billed
                        THEN c.rates_gross * least({_UNBILLED} / (c.target_value - c.billed), 1) ELSE 0 END
                   ELSE abs(c.due_net) END) END AS misses
        FROM (
            SELECT s.*, CASE s.gross WHEN s.blocked THEN 'blocker' WHEN abs(s.value_gap) THEN 'value'
                                     WHEN s.rates_gross THEN 'rates' ELSE 'schedule' END AS cause
            FROM (
                SELECT {columns}, f.blocked, f.value_gap, f.rates_gross, f.rates_net, f.provisioned, f.target_value,
                       f.billed, f.currency, own.run_on, due.net AS due_net, due.target AS due_target,
                       {_GROSS} AS gross, r.rate, coalesce(own.day_s,
                           (SELECT g.day_s FROM metrics.calendar AS g WHERE g.calendar = '')) AS day_s,
                       greatest(coalesce(own.worked, (SELECT metrics.worked('', :as_of))) - f.since_work_s, 0)
                           AS waited_s
                FROM metrics.exposure_fact AS f {_AT_RUN} {rated()}
                WHERE {where} {"OFFSET 0" if all_of_them else ""}
            ) AS s
        ) AS c
    """


_CERTAIN: Final = "NOT f.test AND NOT f.unverified"
_UNSETTLED: Final = f"{_CERTAIN} AND f.settled IS NULL"
# What they come to, without what tells them apart; {valid} as in Source.valid.
HEADLINE: Final = f"""
    SELECT s.currency, count(*) AS n, sum(s.gross) AS gross, sum({in_minor("s.converted")}) AS worth
    FROM (
        SELECT f.currency, f.settled AS gross, f.settled * r.rate AS converted FROM metrics.exposure_fact AS f {rated()}
        WHERE {{valid}} AND {_CERTAIN} AND f.settled <> 0 AND {chosen("f")}
        UNION ALL
        SELECT f.currency, {_GROSS}, {_GROSS} * r.rate FROM metrics.exposure_fact AS f {_AT_RUN} {rated()}
        WHERE {{valid}} AND {_UNSETTLED} AND {_GROSS} <> 0 AND {chosen("f")}
    ) AS s GROUP BY 1
"""
_CONVERTED: Final = f"coalesce({_GROSS} * r.rate, -1)"
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
    Walk("exposure", f"{_UNSETTLED} AND {_GROSS} <> 0", ONE, "true", f"{_CONVERTED} DESC", _CONVERTED,
         _BEHIND.format(_CONVERTED),
         joined=f"{_AT_RUN} {rated()}"),
)  # fmt: skip


def lanes(currencies: Iterable[str], rates: Rates) -> Mapping[str, object]:
    """What WALKS bind; `currencies` are those of what is stuck."""
    priced = {currency: rates.convert(Decimal(1), currency) for currency in sorted(currencies)}
    return {
        "currencies": [currency for currency, rate in priced.items() if rate is not None],
        "rates": [rate for rate in priced.values() if rate is not None],
        "bare_currencies": [currency for currency, rate in priced.items() if rate is None],
    }
