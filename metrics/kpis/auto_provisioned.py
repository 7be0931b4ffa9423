"""Auto-provisioned: the share of the contracts signed that became billable without a person doing anything."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from metrics import unsigned
from metrics.asking import By
from metrics.cells import Need
from metrics.drilling import Known, Listing, drill
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Unit
from metrics.proportion import wilson
from metrics.reading import merged, together
from metrics.source import Source, chosen
from metrics.walking import ONE, Walk

_CLEAN: Final = timedelta(days=30)
_KINDS: Final = {
    "correction": "Data corrected",
    "decision": "Exception closed by decision",
    "exception": "Exception that somebody had to clear",
    "release": "Released from quarantine by hand",
    "replay": "Replayed by hand",
    "replay_outage": "Replayed by hand after an outage",
}
_PLAIN: Final = ("provisioned", "open", "open_touched", "cancelled", "before_signature", "test")
_BY_WEEK: Final = ("active_in", "auto", "corrected")  # of their activation
_MEASURES: Final = tuple(f"contract.{name}" for name in (*_PLAIN, *_BY_WEEK, "touched"))

Key = tuple[str, str]  # what is counted, and its label


@dataclass(frozen=True, slots=True)
class Inputs:
    counts: Mapping[Key, int] = field(default_factory=dict)

    def __add__(self, other: "Inputs") -> "Inputs":
        return Inputs(merged(self.counts, other.counts))

    def of(self, name: str, *, until: date | None = None) -> int:
        """With `until`: of activations in weeks that had ended by then."""
        return sum(
            n for (what, label), n in self.counts.items()
            if what == name and (until is None or date.fromisoformat(label) + timedelta(days=7) <= until)
        )  # fmt: skip


class AutoProvisioned:
    definition = Definition(
        slug="auto-provisioned",
        title="Auto-provisioned contracts",
        unit=Unit.SHARE,
        better=Better.HIGHER,
        version=2,
        says="So many of the contracts signed became billable without anybody doing anything; what is still open is "
        "not counted as one of them yet.",
        formula="automatic / (confirmed + open): automatic is confirmed by read-back without a correction, a decision, "
        "an exception to clear, a release or a replay by hand between receipt and confirmation. A young week can only "
        "rise.",
        splits=(By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING),
        target=0.8,
        target_says="suggested: green from 80%, amber from 60%",
        drill="contract",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return (Need(_MEASURES, by),)

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        return {} if source.as_of is None else together(_read(source, by))

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        auto, confirmed = inputs.of("auto"), inputs.of("provisioned")
        pending = inputs.of("open") + inputs.of("quarantined")
        cohort = confirmed + pending
        return Answer(
            value=_share(auto, cohort),
            n=cohort,
            n_open=pending,
            excluded={
                "cancelled before it was active": inputs.of("cancelled"),
                "active before the signature": inputs.of("before_signature"),
                "test contract": inputs.of("test"),
            },
            figures=(
                *_limited("rate", "Of the confirmed ones alone", auto, confirmed),
                Figure("bound_low", "At least", _share(auto, cohort), Unit.SHARE, "if no open one ends automatic"),
                Figure("bound_high", "At most", _share(auto + pending, cohort), Unit.SHARE,
                       "if every open one ends automatic"),
                Figure("auto", "Automatic", auto, Unit.COUNT),
                Figure("confirmed", "Confirmed", confirmed, Unit.COUNT),
                Figure("pending", "Open", pending, Unit.COUNT),
                Figure("pending_touched", "Open, and already touched", inputs.of("open_touched"), Unit.COUNT,
                       "cannot end automatic any more"),
                Figure("quarantined", "Signatures in quarantine", inputs.of("quarantined"), Unit.COUNT,
                       "counted as open"),
                *_clean(inputs, source.as_of, source.estate.group.timezone),
                *_touched(inputs),
            ),
            why_none="" if cohort else "no contract was signed in the window",
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        waiting = unsigned.contract_rows(source, _WAITING)
        if not source.latest:
            return drill(source, _LISTING, after=after, limit=limit, waiting=waiting)
        n: dict[str, int] = {}
        for cell in source.cells(("contract.open", "contract.provisioned", "contract.auto")):
            n[cell.measure] = n.get(cell.measure, 0) + cell.n
        automatic = n.pop("contract.auto", 0)
        known = Known(sum(n.values()), automatic if n else None)
        return drill(source, _LISTING, after=after, limit=limit, known=known, walks=(_WALK,), waiting=waiting)


def _read(source: Source, by: By | None) -> Iterator[tuple[str, Inputs]]:
    for cell in source.cells(_MEASURES, by):
        yield cell.group, Inputs({(cell.measure.partition(".")[2], cell.label): cell.n})
    for group, unread in unsigned.contracts(source, by).items():
        yield group, Inputs({("quarantined", ""): len(unread.open_s)})


def _share(k: int, n: int) -> float | None:
    return k / n if n else None


def _limited(key: str, label: str, k: int, n: int) -> Iterator[Figure]:
    low, high = wilson(k, n) or (None, None)
    yield Figure(key, label, _share(k, n), Unit.SHARE)
    yield Figure(f"{key}_low", f"{label}, 95 % lower limit", low, Unit.SHARE, "Wilson")
    yield Figure(f"{key}_high", f"{label}, 95 % upper limit", high, Unit.SHARE, "Wilson")


def _clean(inputs: Inputs, as_of: datetime | None, zone: str) -> Iterator[Figure]:
    """First pass and clean after 30 days, which is known of activations in weeks that ended so long ago."""
    until = as_of.astimezone(ZoneInfo(zone)).date() - _CLEAN if as_of else date.min
    confirmed = inputs.of("active_in", until=until)
    clean = inputs.of("auto", until=until) - inputs.of("corrected", until=until)
    yield from _limited("clean_30", "Clean after 30 d", clean, confirmed)
    yield Figure("clean_30_n", "Confirmed in weeks that ended 30 d ago", confirmed, Unit.COUNT)
    yield Figure("corrected", "Automatic, but corrected within 30 d", inputs.of("corrected"), Unit.COUNT,
                 "first pass yes, clean no")  # fmt: skip


def _touched(inputs: Inputs) -> Iterator[Figure]:
    """Of the confirmed ones; one contract may have several kinds."""
    for kind, words in _KINDS.items():
        n = inputs.counts.get(("touched", kind), 0)
        yield Figure(f"touched:{kind}", words, n, Unit.COUNT, "confirmed contracts with such a touch")


_LISTING: Final = Listing(
    rows=f"""
        SELECT f.contract_id, c.external_id AS contract, c.title, f.legal_entity, f.signed_at, f.active_at, f.outcome,
               array_to_string(f.touches, ', ') AS touched_by, extract(epoch FROM f.signed_at) AS newest,
               CASE WHEN f.outcome = 'provisioned' AND cardinality(f.touches) = 0 THEN 1 ELSE 0 END AS automatic
        FROM metrics.contract_fact AS f LEFT JOIN core.contract AS c ON c.contract_id = f.contract_id
        WHERE {{valid}} AND f.outcome IN ('open', 'provisioned') AND NOT f.test
          AND {chosen("f")} AND f.period >= :start AND f.period < :end
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("legal_entity", "Legal entity"),
        Column("signed_at", "Signed"), Column("active_at", "Active"), Column("outcome", "Outcome"),
        Column("touched_by", "Touched by"), Column("automatic", "Automatic", Unit.COUNT),
    ),
    order="newest",
    key="contract_id",
    adds="automatic",
)  # fmt: skip

_WAITING: Final = """extract(epoch FROM f.recorded_at) AS place, extract(epoch FROM f.recorded_at) AS newest,
    'in quarantine' AS outcome, '' AS touched_by, 0 AS automatic"""
# The window's first and last moment are told with a day to spare, for the index; the weeks decide.
_WALK: Final = Walk(
    "contract",
    "f.outcome IN ('open', 'provisioned') AND NOT f.test AND f.period >= :start AND f.period < :end"
    " AND f.signed_at > CAST(:start AS timestamp) AT TIME ZONE :zone - interval '1 day'"
    " AND f.signed_at < CAST(:end AS timestamp) AT TIME ZONE :zone + interval '1 day'",
    ONE, "true", "f.signed_at DESC", "extract(epoch FROM f.signed_at)",
    "(f.signed_at, f.contract_id) < (to_timestamp(CAST(CAST(:order_after AS numeric) AS float8)), :key_after)",
)  # fmt: skip

KPI = AutoProvisioned()
