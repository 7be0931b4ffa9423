"""The overview in words: the headline, the KPI row, and what needs a person. Numbers in, Markdown out."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pages import _format as fmt
from pages._frame import Kpi
from pages._words import STATE_MEANINGS, inside, words
from sync_core.progress import State
from sync_core.reads import CauseGroup, ContractDetail, CycleTime, MoneyTotal, Overview


def headline(seen: Overview) -> str:
    """What waits, how much of it is blocked, and the largest cause; then what else needs a person."""
    waiting = seen.waiting
    if not seen.counts.signed:
        return " ".join([f"**Nothing is signed yet.** {_drafts(seen)}.", *_besides(seen)])
    if not waiting.total.count:
        provisioned = fmt.plural(seen.counts.provisioned, "contract")
        # A signature in quarantine is signed too; nobody knows yet what of.
        understood = "Every signed contract that was understood is billable"
        fact = understood if seen.quarantined else "Everything signed is billable"
        return " ".join([f"**{fact}.** {provisioned} provisioned.", *_besides(seen)])
    parts = [f"**{amount(waiting.total)} of signed value is not yet billable.**"]
    if waiting.blocked.count:
        share = "All" if waiting.blocked.count == waiting.total.count else amount(waiting.blocked)
        parts.append(f"{share} of it is blocked{_largest(seen.attention)}.")
    else:
        parts.append("None of it is blocked; it moves without anybody.")
    return " ".join([*parts, *_besides(seen)])


def kpis(seen: Overview) -> list[Kpi]:
    """Six numbers: what was signed and where it stands, the money that waits, and how long it takes."""
    counts, waiting = seen.counts, seen.waiting
    reporting = waiting.total.money.currency
    return [
        Kpi(
            "Signed", fmt.count(counts.signed),
            "Contracts ever signed. Trial contracts are left out of every number on this page.",
            delta=fmt.count(_this_week(seen)), comparison="this week",
        ),
        Kpi(
            "Provisioned", fmt.count(counts.provisioned),
            "Contracts that are billable now: their ERP confirmed every object by read-back.",
            delta=_unless_nil(counts.by_state[State.ENDED]),
            comparison="more have ended" if counts.by_state[State.ENDED] else "none has ended",
        ),
        Kpi(
            "Waiting", fmt.count(counts.by_state[State.WAITING]),
            "Contracts in the queue of an ERP. They move on without anybody; an outage only delays them.",
            delta=_unless_none(waiting.waiting),
            comparison=_held(counts.by_state[State.WAITING], waiting.waiting, "nothing in a queue"),
        ),
        Kpi(
            "Blocked", fmt.count(counts.by_state[State.BLOCKED]),
            "Contracts that a person has to help: each has at least one open exception.",
            delta=_unless_none(waiting.blocked),
            comparison=_held(counts.by_state[State.BLOCKED], waiting.blocked, "nobody needs to act"),
        ),
        Kpi(
            "Money waiting", fmt.money(waiting.total.money),
            f"Value of signed contracts that were never billable yet, in {reporting}, the reporting currency, at the "
            "rate of the signature. Currencies without a rate are named, not converted.",
            delta=None if waiting.oldest_age is None else fmt.duration(waiting.oldest_age),
            comparison=_and_without_rate("for the oldest", waiting.total) if waiting.total.count
            else "nothing waits",
        ),
        _cycle_kpi(seen.cycle),
    ]  # fmt: skip


def cause(group: CauseGroup) -> str:
    """One cause as the label of a link: amount, cause, count. A change that holds up no money has no amount."""
    name, contracts = fmt.plain(words(group.cause)), fmt.plural(group.count, "contract")
    if not has_money(group.exposure):
        return f"**{name}**, {contracts}"
    return f"**{amount(group.exposure)}** {name}, {contracts}"


def cause_details(group: CauseGroup, now: datetime) -> str:
    """Whom it waits for, and how late it is."""
    late = f", {group.overdue:,} overdue" if group.overdue else ""
    return f"With {fmt.plain(inside(group.function))}{late}, oldest {fmt.age(now - group.oldest)} (calendar)"


def exceptions_headline(groups: Sequence[CauseGroup]) -> str:
    """How many are open, how many of them are late, and the largest cause."""
    if not groups:
        return "**No open exceptions.** Nothing waits for a person."
    cases, late = sum(group.count for group in groups), sum(group.overdue for group in groups)
    return f"**{fmt.plural(cases, 'exception')} open**, {_overdue(cases, late)}{_largest(groups)}."


def _overdue(cases: int, late: int) -> str:
    if late == cases:
        return "overdue" if cases == 1 else "all of them overdue"
    return f"{late:,} of them overdue" if late else "not overdue" if cases == 1 else "none overdue"


def contract_headline(found: ContractDetail) -> str:
    """Where one contract stands and why, in one sentence."""
    row, open_cases = found.summary, [one.case for one in found.cases if one.case.state == "open"]
    if open_cases:
        causes = ", ".join(fmt.plain(inside(case.cause)) for case in open_cases)
        functions = ", ".join(dict.fromkeys(fmt.plain(inside(case.function)) for case in open_cases))
        held = ""
        if row.first_active_at is None and row.value and row.value.amount:
            held = f" {fmt.plain(fmt.money(row.value))} cannot be billed until then."
        return f"**Waits for {functions}**: {causes}.{held}"
    if row.state in (State.WAITING, State.SET_ASIDE) and row.last_error:
        return f"**{words(row.state)}** since {fmt.moment(row.state_since)}. Last error: {fmt.plain(row.last_error)}"
    return f"**{words(row.state)}** since {fmt.moment(row.state_since)}. {STATE_MEANINGS[row.state]}"


def without_rate(total: MoneyTotal) -> str:
    """The amounts that could not be converted, by currency; empty if all could."""
    return ", ".join(fmt.money(part.total) for part in total.unconverted)


def cycle_headline(cycle: CycleTime) -> str:
    """The percentiles; with open cases, the median beside the one of finished contracts alone."""
    if cycle.p50 is None or cycle.naive_median is None:
        reason = "too few for a percentile" if cycle.n < fmt.SAMPLE_FLOOR else "half of them are not active yet"
        return f"{fmt.plural(cycle.n, 'contract')} signed in this window: {reason}."
    told = f"Half are billable within **{fmt.duration(cycle.p50)}**"
    if cycle.p90 is not None:
        told += f", nine in ten within **{fmt.duration(cycle.p90)}**"
    if not cycle.n_open:
        return f"{told}; none is still open."
    return (
        f"{told}, with the {cycle.n_open:,} open counted; finished ones alone would say a median of "
        f"{fmt.duration(cycle.naive_median)}."
    )


def covers(total: MoneyTotal) -> str:
    """A note below a chart of converted money: what it leaves out."""
    left_out = without_rate(total)
    return f"Not in the bars for want of an exchange rate: {left_out}." if left_out else ""


def _cycle_kpi(cycle: CycleTime) -> Kpi:
    label = "Cycle time p50"
    definition = (
        "Half of the contracts signed in the last 13 weeks were billable within this time of the last signature. "
        "Calendar hours; contracts that are still open count for as long as they have been open (Kaplan-Meier)."
    )
    if cycle.n < fmt.SAMPLE_FLOOR:
        return Kpi(label, fmt.percentile(None, cases=cycle.n), definition, comparison="too few for a percentile")
    if cycle.p50 is None:
        longest = "" if cycle.longest is None else f"> {fmt.duration(cycle.longest)}"
        return Kpi(label, longest or fmt.DASH, definition, delta=fmt.count(cycle.n_open), comparison="still open")
    slow = "not reached" if cycle.p90 is None else fmt.duration(cycle.p90)
    return Kpi(label, fmt.duration(cycle.p50), definition, delta=f"p90 {slow}", comparison=f"n = {cycle.n:,}")


def _besides(seen: Overview) -> list[str]:
    """What needs a person but holds up no first billing."""
    changes = max(seen.counts.by_state[State.BLOCKED] - seen.waiting.blocked.count, 0)
    aside, quarantined = seen.counts.by_state[State.SET_ASIDE], seen.quarantined
    told = []
    if changes:
        told.append(f"{_are(changes, 'contract')} blocked by a change to what was billable before.")
    if aside:
        told.append(f"{_are(aside, 'contract')} set aside after repeated failures.")
    if quarantined:
        told.append(f"{_are(quarantined, 'signature')} in quarantine, not understood yet.")
    return told


def _are(number: int, noun: str) -> str:
    return f"{fmt.plural(number, noun)} {'is' if number == 1 else 'are'}"


def _drafts(seen: Overview) -> str:
    drafts = seen.counts.by_state[State.DRAFT]
    return f"{_are(drafts, 'contract')} being drafted" if drafts else "No contract is being drafted"


def _unless_nil(number: int) -> str | None:
    return fmt.count(number) if number else None


def _unless_none(total: MoneyTotal) -> str | None:
    return amount(total) if total.count else None


def _held(contracts: int, money: MoneyTotal, nothing: str) -> str:
    """Beside the money of those that were never billable; a change to a billable contract holds up none of it."""
    if not contracts:
        return nothing
    return "not billable yet" if money.count else "all billable before"


def contract_name(title: str, customer: str) -> str:
    """A contract's title with its customer, unless the title names the customer already."""
    if not title or not customer:
        return title or customer
    return title if customer.casefold() in title.casefold() else f"{title} for {customer}"


def _largest(groups: Sequence[CauseGroup]) -> str:
    if not groups:
        return ""
    top = groups[0]
    contracts = fmt.plural(top.count, "contract")
    how_much = f"{amount(top.exposure)}, {contracts}" if has_money(top.exposure) else contracts
    return f"; the largest cause is **{fmt.plain(inside(top.cause))}** ({how_much})"


def has_money(total: MoneyTotal) -> bool:
    return bool(total.money.amount or total.unconverted)


def amount(total: MoneyTotal) -> str:
    """The converted sum; if nothing could be converted, what is there in its own currencies."""
    left_out = without_rate(total)
    if left_out and not total.money.amount:
        return left_out
    return fmt.money(total.money)


def money_of(total: MoneyTotal) -> str:
    """The converted sum, and what has no rate beside it."""
    left_out = without_rate(total)
    if not left_out:
        return fmt.money(total.money)
    return f"{fmt.money(total.money)} and {left_out}" if total.money.amount else left_out


def _and_without_rate(text: str, total: MoneyTotal) -> str:
    left_out = without_rate(total)
    return f"{text}; plus {left_out} without a rate" if left_out else text


def _this_week(seen: Overview) -> int:
    newest = seen.weekly.tail(1)
    recent = newest[newest["week"] > seen.now - timedelta(days=7)]
    return int(recent["n"].sum())
