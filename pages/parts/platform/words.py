"""The platform page's numbers and states in words."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from metrics.backlog import Waiting
from metrics.burn import POLICIES
from metrics.histograms import Quantile
from metrics.slo import Standing, State
from pages.kit import format as fmt
from sync_core.reads import LaneState
from sync_core.reads.schedules import Schedule
from sync_core.telemetry.latencies import Kind

WINDOWS: Final = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}
SPANS: Final = {
    "1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30),
}  # fmt: skip
KINDS: Final = {Kind.ERP: "ERP", Kind.CLM: "CLM", Kind.WEB: "Requests to Tieline", Kind.DB: "Database statements"}
WAITING: Final = {
    Waiting.READY: ("Ready", "main"), Waiting.SCHEDULED: ("Due later", "later"), Waiting.IN_FLIGHT: ("In hand", "good"),
    Waiting.BLOCKED: ("Blocked", "open"), Waiting.DEAD: ("Set aside", "dead"),
}  # fmt: skip
_BADGES: Final = {
    State.MET: ":green-badge[:material/check_circle: Kept]",
    State.UNKNOWN: ":gray-badge[:material/help: Too few to say]",
    State.TICKET: ":orange-badge[:material/local_fire_department: Burns]",
    State.EXHAUSTED: ":orange-badge[:material/battery_0_bar: Budget spent]",
    State.PAGE: ":red-badge[:material/local_fire_department: Burns fast]",
    State.STUCK: ":red-badge[:material/front_hand: Stuck]",
    State.VIOLATED: ":red-badge[:material/error: Broken]",
}
_MB: Final = 1024**2
_GB: Final = 1024**3


def system(kind: Kind, name: str) -> str:
    """What was called."""
    return f"{KINDS[kind]} {name}" if kind in (Kind.ERP, Kind.CLM) else KINDS[kind]


def seconds(value: float) -> str:
    """4 ms, 0.25 s, 12 s, then minutes and hours as everywhere."""
    if value < 0.0995:
        return f"{value * 1000:.{0 if value >= 0.001 or not value else 1}f} ms"
    if value < 59.5:
        return f"{value:.{2 if value < 0.995 else 1 if value < 9.95 else 0}f} s"
    return fmt.duration(timedelta(seconds=value))


def age(value: float) -> str:
    """How long something waited: seconds only below a minute."""
    return f"{value:.0f} s" if value < 59.5 else fmt.duration(timedelta(seconds=value))


def quantile(one: Quantile) -> str:
    """With the bucket's width, within which the true value lies."""
    if one.value_s is not None:
        return f"{seconds(one.value_s)} ±{seconds(one.error_s or 0)}"
    return f"over {seconds(one.at_least_s)}" if one.at_least_s is not None else fmt.DASH


def size(given: float) -> str:
    """Of files and databases."""
    if given >= _GB:
        return f"{given / _GB:,.1f} GB"
    if given >= _MB:
        return f"{given / _MB:,.1f} MB"
    return f"{given / 1024:,.0f} KB" if given >= 1024 else f"{given:.0f} B"


def standing(one: Standing) -> str:
    """A badge; Markdown. What is over stays told until an hour has passed, and calmly for 30 days where none may be."""
    if one.broken and one.severity is None:
        return ":orange-badge[:material/healing: Recovers]"
    return ":gray-badge[:material/history: Broken earlier]" if _earlier(one) else _BADGES[one.state]


def _earlier(one: Standing) -> bool:
    """Nothing is wrong now, and something was that may never be: there is no budget to take it from."""
    return one.state is State.EXHAUSTED and one.severity is None


def says(one: Standing) -> str:
    text = one.says.strip()
    return f"{text[:1].upper()}{text[1:]}."


def burns(one: Standing) -> str:
    """Of the windows that alerts look at, shortest first."""
    if one.objective >= 1:
        return fmt.DASH
    rates = [one.burn_rates.get(str(int(policy.long.total_seconds()))) for policy in POLICIES]
    return ", ".join(fmt.DASH if rate is None else f"{rate:.1f}" for rate in rates)


def target(one: Standing) -> str:
    """That holds; where the firm has set its own, what Tieline suggests besides."""
    shown = _share(one.objective)
    return shown if one.objective == one.suggested else f"{shown} (suggested {_share(one.suggested)})"


def _share(objective: float) -> str:
    return "all" if objective >= 1 else f"{objective * 100:g}%"


def left(one: Standing) -> str:
    """Of the budget; there is none where none may be bad."""
    if one.budget_left is None or one.objective >= 1:
        return fmt.DASH
    return fmt.percent(one.budget_left)


def headline(
    promises: Sequence[Standing], lanes: Sequence[LaneState], jobs: Sequence[Schedule], *, past: bool = False
) -> str:
    """A few words, Markdown: promises, then what cannot be reached, then jobs that do not run. `past`: it is made."""
    if not promises and not jobs:
        when = "They come when the past is made." if past else "They come within two minutes of a worker's start."
        return f"**No worker has reported yet**, so there are no numbers. {when}"
    parts = _of_promises(promises) if promises else ["**The promises were not looked at yet.**"]
    shut = [lane for lane in lanes if lane.breaker != "closed"]
    if shut:
        names, verb = ", ".join(fmt.plain(lane.lane) for lane in shut), "takes" if len(shut) == 1 else "take"
        parts.append(f"{names} {verb} no work.")
    elif lanes:
        parts.append("Every ERP takes work.")
    late, paused = sum(job.late for job in jobs), sum(job.paused_at is not None for job in jobs)
    if late or paused:
        told = [f"{late} late" if late else "", f"{paused} paused" if paused else ""]
        parts.append(f"Scheduled jobs: {' and '.join(one for one in told if one)}.")
    return " ".join(parts)


def _of_promises(promises: Sequence[Standing]) -> list[str]:
    """What is wrong now, what recovers, and what may never be wrong and was within 30 days."""
    wrong = [one for one in promises if one.broken and one.severity is not None]
    recovers = [one for one in promises if one.broken and one.severity is None]
    earlier = [one for one in promises if not one.broken and _earlier(one)]
    parts = [f"**{len(wrong)} of {len(promises)} promises broken:** {_titles(wrong)}."] if wrong else []
    if not wrong:
        now = " now" if recovers or earlier else ""
        parts.append(f"**All {len(promises)} promises are kept{now}**, or have too few cases to say.")
    if recovers:
        parts.append(f"Recovers: {_titles(recovers)}.")
    if earlier:
        named = "; ".join(f"{fmt.plain(one.title)} ({fmt.count(one.bad)} of {fmt.count(one.total)})" for one in earlier)
        parts.append(f"Broken earlier, within 30 days: {named}.")
    return parts


def _titles(promises: Sequence[Standing]) -> str:
    return "; ".join(fmt.plain(one.title) for one in promises)
