"""The first rows behind a number, along indexes: what is read does not grow with how many rows there are.

Rows are walked in lanes: the weeks of the window, the legal entities of what is open. An index has those of a lane in
the order of the listing, so the first of all are among the first of each lane. Latest versions only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from metrics.asking import By
from metrics.source import Source, chosen

WEEKS: Final = """generate_series(CAST(:start AS timestamp), CAST(:end AS timestamp) - interval '7 days', '7 days')
    AS lane(week)"""
OF_WEEK: Final = "f.period = CAST(lane.week AS date)"
# :open_in binds `open_in`. A calendar that nobody knows is the group's, as in metrics/reading.py.
ENTITIES: Final = """
    (SELECT e.code, metrics.worked(e.code, :as_of) AS worked FROM unnest(CAST(:open_in AS text[])) AS e(code) OFFSET 0)
        AS lane"""
OF_ENTITY: Final = "f.legal_entity = lane.code"
ONE: Final = "(SELECT) AS lane"
# Of what is not ranked: + 0, or the planner would walk all contracts there are to find the few of a lane.
BY_KEY: Final = "(f.contract_id + 0) DESC"
# The cursor's place, of hours, in seconds again.
SECONDS_AFTER: Final = "CAST(round(CAST(:order_after AS numeric) * 3600) AS bigint)"


@dataclass(frozen=True, slots=True)
class Walk:
    """`where`, on `f`, is what a partial index is of; it has `of_lane`, then `ranked_by`, then `key` falling."""

    fact: str
    where: str
    lanes: str
    of_lane: str
    ranked_by: str  # with ASC or DESC
    place: str  # as the listing's order says it; never null
    behind: str  # the condition beyond :order_after and :key_after that the index can begin at
    key: str = "f.contract_id"
    joined: str = ""  # what `where`, `ranked_by` and `place` need joined to f
    tie: str = ""  # what breaks ties within a lane as `key` does, where the index has another column

    def sql(self, *, first: bool) -> str:
        """Columns place, key, contract_id. `first`: there is no cursor."""
        behind = "true" if first else self.behind
        return f"""
            SELECT w.* FROM {self.lanes} CROSS JOIN LATERAL (
                SELECT CAST({self.place} AS numeric) AS place, {self.key} AS key, f.contract_id
                FROM metrics.{self.fact}_fact AS f {self.joined}
                WHERE f.known_to IS NULL AND {self.where} AND {self.of_lane} AND {chosen("f")} AND {behind}
                ORDER BY {self.ranked_by}, {self.tie or self.key} DESC LIMIT :limit
            ) AS w"""


def first_of(walks: Sequence[Walk], *, first: bool, also: Sequence[str] = ()) -> str:
    """The first :limit rows of all of them, and of `also`: selects of place, key and contract_id."""
    together = " UNION ALL ".join([*(walk.sql(first=first) for walk in walks), *also])
    return f"SELECT * FROM ({together}) AS k ORDER BY k.place DESC, k.key DESC LIMIT :limit"


def by_week(fact: str, where: str, seconds: str, key: str = "f.contract_id", tie: str = "") -> Walk:
    """Of ended cases: by how long each took, in hours."""
    return Walk(
        fact, where, WEEKS, OF_WEEK, f"{seconds} DESC", f"CAST({seconds} AS numeric) / 3600",
        f"({seconds}, {key}) < ({SECONDS_AFTER}, :key_after)", key, tie=tie,
    )  # fmt: skip


def by_entity(fact: str, where: str, begun: str, less: str, key: str = "f.contract_id", tie: str = "") -> Walk:
    """Of open ones in the window: by their working hours, which are the entity's until now and `less` seconds, <= 0.

    `begun` is when they began. IS TRUE, so that the planner does not take the index of that moment in every lane.
    """
    where = f"{where} AND ({begun} <= :as_of) IS TRUE AND f.period >= :start AND f.period < :end"
    return Walk(
        fact, where, ENTITIES, OF_ENTITY, f"{less} DESC", f"CAST(greatest(lane.worked + {less}, 0) AS numeric) / 3600",
        f"({less}, {key}) < ({SECONDS_AFTER} - lane.worked, :key_after)", key, tie=tie,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counted:
    """How many ended and open rows there are, by the rollups; where there are open ones."""

    n: int
    open_in: Sequence[str]


def counted(source: Source, ended: Sequence[str], still_open: str, *, not_yet: str) -> Counted:
    """`ended` and `still_open` are measures; `not_yet` counts the open ones that begin after the moment asked for."""
    cells = source.cells((*ended, still_open), By.LEGAL_ENTITY)
    later = source.run(not_yet)[0].n
    return Counted(
        sum(cell.n for cell in cells) - later, sorted({cell.group for cell in cells if cell.measure == still_open})
    )


def not_yet(fact: str, still_open: str, moment: str) -> str:
    """Along the index of the open ones by that moment."""
    return f"""
        SELECT count(*) AS n FROM metrics.{fact}_fact AS f
        WHERE f.known_to IS NULL AND {still_open} AND {moment} > :as_of AND {chosen("f")}
          AND f.period >= :start AND f.period < :end"""
