"""The sentence at the head of the executive page, and the words of its cards. Numbers in, Markdown out."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from metrics.kpi import Answer, Value
from pages.kit import format as fmt
from pages.kit import sentences
from pages.kit.bill_runs import Run
from pages.kit.measure_words import known
from pages.kit.words import inside
from sync_core.money import Money, rounded
from sync_core.reads import CauseGroup

# In which way a contract differs most (metrics/kpis/stuck_money.py).
DIFFERS: Final = {
    "blocker": "Blocked", "value": "Value differs", "rates": "Rates differ", "schedule": "Dates differ",
}  # fmt: skip
AGES: Final = {"age_0_1": "< 1 working day", "age_1_3": "1-3", "age_3_up": "3+"}


def money(amount: Value, currency: str) -> str:
    """Short form; a dash for what is not known."""
    return fmt.DASH if amount is None else fmt.money(Money(rounded(Decimal(amount), currency), currency))


def headline(stuck: Answer, causes: Sequence[CauseGroup], runs: Sequence[Run], currency: str) -> str:
    """The money that waits, what the next bill run misses of it, and the largest cause."""
    if not stuck.n:
        return "**What was signed is what the ERPs hold.** No money stands between them."
    told = [f"**{_all(stuck, currency)} stands between what was signed and what the ERPs hold.**"]
    misses = known(stuck, "misses_bill_run")
    if runs:
        soon = f"the first in {fmt.duration(runs[0].left)}"
        of_it = f"{money(misses, currency)} of it" if misses else "None of it"
        told.append(f"{of_it} misses the next bill runs, {soon}.")
    return " ".join([*told, *_largest(causes)])


def _all(stuck: Answer, currency: str) -> str:
    """The converted sum; where nothing could be converted, what there is in its own currencies."""
    if stuck.value is not None:
        return money(stuck.value, currency)
    return ", ".join(unconverted(stuck)) or "Money"


def unconverted(answer: Answer, prefix: str = "unconverted_") -> list[str]:
    """What stands in currencies without a rate, each in its own."""
    found = [(one.key.removeprefix(prefix), one.value) for one in answer.figures if one.key.startswith(prefix)]
    return [money(amount, code) for code, amount in found if amount is not None]


def left_out(answer: Answer) -> str:
    """A note below a chart of converted money; "" where all was converted."""
    listed = unconverted(answer)
    return f"Not in the bars for want of an exchange rate: {', '.join(listed)}." if listed else ""


def _largest(causes: Sequence[CauseGroup]) -> list[str]:
    """A sentence of its own: what an exception holds up is no part of what stands between."""
    if not causes:
        return []
    top = causes[0]
    contracts = fmt.plural(top.count, "contract")
    holds = f"holds up {sentences.amount(top.exposure)} of" if sentences.has_money(top.exposure) else "holds up"
    return [f"Of the exceptions, **{fmt.plain(inside(top.cause))}** {holds} {contracts}."]
