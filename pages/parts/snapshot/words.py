"""Snapshots in words: weeks, states, files, targets, what a command line would say."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from metrics.kpi import Better, Unit
from metrics.snapshot.making import MAIL
from metrics.snapshot.package import BOARD_PACK, KEY_FILE, MANIFEST, WORKBOOK
from metrics.snapshot.wording import all_measured_anew, redefined, window_before, window_name
from metrics.weeks import week_name
from pages.kit import format as fmt
from pages.kit import measure_words as words
from pages.kit.words import words as spelled
from sync_core.reads.snapshots import (
    KpiChange,
    SnapshotDelivery,
    SnapshotDiff,
    SnapshotFile,
    SnapshotRow,
    SnapshotSeal,
)

MAIN: Final = {
    BOARD_PACK: ("Board pack", "PDF", "application/pdf", ":material/picture_as_pdf:"),
    WORKBOOK: ("Workbook", "XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
               ":material/table_view:"),
    MANIFEST: ("Manifest", "JSON", "application/json", ":material/fact_check:"),
    KEY_FILE: ("Public key", "PEM", "application/x-pem-file", ":material/key:"),
}  # fmt: skip
KINDS: Final = {"csv": ("CSV", "text/csv"), "parquet": ("Parquet", "application/vnd.apache.parquet")}
_TABLES: Final = {
    "kpis": "KPIs", "trend": "Trend by week", "entities": "By legal entity", "figures": "Figures beside the KPIs",
    "excluded": "Left out, by reason", "definitions": "Definitions", "restated": "Restated measures",
    "moved": "Contracts that moved them", "stated": "Baselines, assumptions and rates that changed",
    "rates": "Exchange rates",
}  # fmt: skip
_ROWS: Final = "rows-"


def week(monday: date) -> str:
    """2026-W47, 16 to 22 Nov."""
    sunday = monday + timedelta(days=6)
    first = f"{monday:%-d}" if monday.month == sunday.month else f"{monday:%-d %b}"
    return f"{week_name(monday)}, {first} to {sunday:%-d %b}"


def state(row: SnapshotRow) -> str:
    if row.state == "asked":
        return "Tried again" if row.error else "Being made"
    return {"made": "Made", "failed": "Failed"}.get(row.state, row.state)


def by(row: SnapshotRow) -> str:
    return "The schedule" if row.scheduled else row.asked_by


def delivered(row: SnapshotRow) -> str:
    """Where it went, in short."""
    if row.location is not None:
        return f"On the command line: {row.location}"
    if row.state != "made":
        return ""
    return "Everywhere" if not row.undelivered else f"{fmt.plural(row.undelivered, 'target')} to go"


def table(name: str) -> str:
    """Of a file without its ending."""
    if name.startswith(_ROWS):
        return f"Rows of {spelled(name.removeprefix(_ROWS).replace('-', '_'))}"
    return _TABLES.get(name, spelled(name.replace("-", "_")))


def tables(files: Sequence[SnapshotFile]) -> dict[str, str]:
    """Name without its ending to words, what a reader wants first on top."""
    names = {one.name.rpartition(".")[0] for one in files if one.name not in MAIN}
    known = [name for name in _TABLES if name in names]
    return {name: table(name) for name in (*known, *sorted(names - set(known)))}


def target(one: SnapshotDelivery) -> str:
    return f"Mail to {one.target.removeprefix(MAIL)}" if one.target.startswith(MAIL) else one.target


def arrived(one: SnapshotDelivery) -> str:
    if one.delivered_at is not None:
        return f"There since {fmt.moment(one.delivered_at)}"
    again = f"; tried again {fmt.moment(one.next_at)}" if one.next_at and one.attempts else ""
    return f"Not yet, {fmt.plural(one.attempts, 'try', 'tries')}{again}"


def values(change: KpiChange, currency: str) -> tuple[str, str]:
    """Of both; a number of cases where there are too few for a value."""
    return _value(change.value, change.n, change, currency), _value(change.other, change.other_n, change, currency)


def windows(change: KpiChange, found: SnapshotDiff) -> tuple[str, str]:
    """The same, each with its window where that is not the week that heads its column."""
    value, other = values(change, found.currency)
    return _in_window(value, change.of, found.week), _in_window(other, change.other_of, found.other_week)


def _in_window(text: str, of: str, week: date) -> str:
    return f"{text}, {window_name(of, week)}" if of.endswith(" weeks") else text


def in_the_board_pack(change: KpiChange, found: SnapshotDiff) -> str:
    """The change that the second week's own board pack tells, and against what; Markdown."""
    if change.previous is None or change.other is None:
        return fmt.DASH
    own = replace(change, value=change.previous, of=change.other_of, overlap=False)
    return f"{moved(own, found.currency)} against {window_before(change.other_of, found.other_week)}"


def _value(given: Decimal | None, n: int, change: KpiChange, currency: str) -> str:
    if given is None and 0 < n < fmt.SAMPLE_FLOOR:
        return f"n = {n}"
    return words.value(given, Unit(change.unit), currency)


def moved_contracts(seal: SnapshotSeal) -> str:
    late = f"{fmt.plural(seal.moved, 'contract')} moved"
    return late if seal.complete else f"at least {late}, and their list is cut"


def otherwise(seal: SnapshotSeal) -> list[str]:
    """As the board pack says it: what a release or a setting that measures otherwise did, and what was redefined."""
    anew = "" if seal.anew is None else all_measured_anew(
        seal.anew_why, seal.anew_by, seal.anew, complete=seal.anew_complete
    )  # fmt: skip
    return [told for told in (anew, redefined(seal.redefined)) if told]


def moved_by(change: KpiChange) -> str:
    """`contracts and a new release, definition 2 to 3`."""
    by = " and ".join(change.moved_by) or fmt.DASH
    return f"{by}, definition {change.version} to {change.other_version}" if change.definition_changed else by


def moved(change: KpiChange, currency: str) -> str:
    """The difference, and whether it is good; Markdown."""
    if change.value is None or change.other is None or change.of_another_span:
        return fmt.DASH
    text = words.change(change.other, change.value, Unit(change.unit), currency)
    if text is None or not any(digit in text for digit in "123456789"):
        return "unchanged"
    good = words.is_better(change.other, change.value, Better(change.better))
    if change.overlap:
        return fmt.plain(f"{text}, windows overlap")
    if good is None:
        return fmt.plain(text)
    return f":{'green' if good else 'red'}-badge[{text} {'better' if good else 'worse'}]".replace("$", r"\$")


def definition(change: KpiChange) -> str:
    if not change.definition_changed:
        return f"Version {change.version}"
    then, now = (f"{one}" if one else "none" for one in (change.version, change.other_version))
    return f":orange-badge[:material/warning: Changed, {then} to {now}]"
