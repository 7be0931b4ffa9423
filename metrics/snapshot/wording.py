"""How numbers are written in reports: one way for sheets, board pack and terminal, in one fixed locale."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from babel.numbers import get_currency_symbol

from metrics.freshness import is_stale
from metrics.kpi import Answer, Better, Span, Unit, Value
from metrics.pooling import SPAN
from metrics.weeks import week_name
from sync_core.money import EXACT, padded, rounded

LOCALE: Final = "en_US"
NONE: Final = "no value"
NO_CASES: Final = "no cases"
MINUS: Final = "\u2212"
FOUR_WEEKS: Final = f"{SPAN} weeks"

_UNITS: Final = {
    Unit.HOURS: "h", Unit.WORKING_HOURS: "working h", Unit.DAYS: "d", Unit.WORKING_DAYS: "working d",
    Unit.SECONDS: "s",
}  # fmt: skip
_SPELLED: Final = {
    Unit.HOURS: "hours", Unit.WORKING_HOURS: "working hours", Unit.DAYS: "days", Unit.WORKING_DAYS: "working days",
    Unit.SECONDS: "seconds", Unit.SHARE: "share", Unit.COUNT: "count", Unit.RATIO: "per case",
}  # fmt: skip
_SCALES: Final = ((Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "K"))
_MONEY: Final = (Unit.MONEY, Unit.MONEY_DAYS)
_COMMAND: Final = re.compile(r"[:;,] [^:;,`]*`tieline [^`]*`")
_NAME: Final = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")


def decimal_of(value: Value) -> Decimal | None:
    """Exact, six decimals at most: what a computation leaves behind them is no part of the number."""
    if value is None:
        return None
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return _plain_zeros(exact.quantize(Decimal("0.000001"), context=EXACT))


def amount_of(value: Value, currency: str) -> Decimal | None:
    """Money to the minor unit of its currency, half-even, with all its decimals."""
    if value is None:
        return None
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return rounded(exact, currency)


def money(value: Decimal, currency: str) -> str:
    """Every digit of what was agreed, with the code: `KWD 42,796.500`; of a text that is no currency as well."""
    return f"{currency}\u00a0{Decimal(padded(value, currency)):,f}"


def exact(value: Value, unit: Unit, currency: str) -> Decimal | None:
    """As tables have it: money to the minor unit, all else to six decimals."""
    return amount_of(value, currency) if is_money(unit) else decimal_of(value)


def finest(number: Decimal) -> Decimal:
    """A rate or another stated number, to twelve decimals."""
    return _plain_zeros(number.quantize(Decimal("0.000000000001"), context=EXACT))


def _plain_zeros(number: Decimal) -> Decimal:
    """Without zeros at the end and without a sign of zero; of however many digits."""
    return EXACT.add(number.normalize(EXACT), Decimal(0))


def is_money(unit: Unit) -> bool:
    return unit in _MONEY


def unit_text(unit: Unit, currency: str) -> str:
    """`working hours`, `USD`, `USD × days`."""
    if unit is Unit.MONEY:
        return currency
    return f"{currency} × days" if unit is Unit.MONEY_DAYS else _SPELLED[unit]


def shown(value: Value, unit: Unit, currency: str) -> str:
    """For people: `6.4 working h`, `83.3%`, `$13.6M`."""
    exact = decimal_of(value)
    if exact is None:
        return NONE
    text = _shown(abs(exact), unit, currency)
    return f"{MINUS}{text}" if exact < 0 and any(mark in "123456789" for mark in text) else text


def parts(value: Value, unit: Unit, currency: str) -> tuple[str, str]:
    """The same as number and unit, for where the number is set large: `6.4` and `working h`."""
    number, _, rest = shown(value, unit, currency).partition(" ")
    whole = unit in _MONEY or unit in (Unit.SHARE, Unit.COUNT, Unit.RATIO) or value is None
    return (shown(value, unit, currency), "") if whole else (number, rest)


def why_none(answer: Answer) -> str:
    """Why there is no value, the same in every file and place; "" where there is one."""
    return "" if answer.value is not None else answer.why_none or (NO_CASES if not answer.n else NONE)


def why_none_for_a_board(answer: Answer) -> str:
    """The same without names and commands of ours: how to mend it says nothing to a board."""
    return plain(_COMMAND.sub("", why_none(answer)))


def aged(data_as_of: datetime | None, at: datetime | None) -> datetime | None:
    """The age of the facts, where it is to be told beside the moment that a number is of; None: they are of it."""
    return data_as_of if data_as_of is not None and at is not None and is_stale(at - data_as_of) else None


def change(value: Value, other: Value, unit: Unit, currency: str) -> str:
    """From `other` to `value`, with its sign; of shares in percentage points. "" where one of them is not known."""
    now, then = decimal_of(value), decimal_of(other)
    if now is None or then is None:
        return ""
    difference = now - then
    size = abs(difference)
    text = f"{size * 100:.1f} pp" if unit is Unit.SHARE else _shown(size, unit, currency)
    if not any(mark in "123456789" for mark in text):
        return "unchanged"
    return f"{MINUS if difference < 0 else '+'}{text}"


def got(value: Value, other: Value, better: Better) -> str:
    """`better`, `worse`, or "" where nothing can be said."""
    now, then = decimal_of(value), decimal_of(other)
    if now is None or then is None or now == then or better is Better.NEITHER:
        return ""
    return "better" if (now < then) == (better is Better.LOWER) else "worse"


def of_what(of: str, n_week: int) -> str:
    """`week`, `4 weeks; the week alone has 18 cases`, `state`."""
    many = f"{n_week} case" if n_week == 1 else f"{n_week} cases"
    return f"{of}; the week alone has {many}" if of == FOUR_WEEKS else of


def window_name(of: str, week: date) -> str:
    """Of a week (its Monday): `2026-W47`, `4 weeks to 2026-W47`, `end of 2026-W47`."""
    name = week_name(week)
    return f"{of} to {name}" if of.endswith(" weeks") else f"end of {name}" if of == Span.STATE else name


def window_before(of: str, week: date) -> str:
    """What that is compared with: as many weeks before it."""
    many = int(of.partition(" ")[0]) if of.endswith(" weeks") else 1
    return window_name(of, week - timedelta(days=7 * many))


def named(value: Value, unit: Unit, currency: str, of: str, week: date) -> str:
    """`6.4 working h (4 weeks to 2026-W47)`; the window is not named where it is the week itself."""
    text = shown(value, unit, currency)
    return f"{text} ({window_name(of, week)})" if of.endswith(" weeks") else text


def held_against(value: Value, previous: Value, unit: Unit, currency: str, of: str, week: date) -> str:
    """What the week's own board pack says: `+1.2 working h against 4 weeks to 2026-W43`; "" where it says nothing."""
    text = change(value, previous, unit, currency)
    return f"{text} against {window_before(of, week)}" if text else ""


def many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def measured_anew(why: str, release: str) -> str:
    """`measured anew by release 0.2.0`; `why` as metrics.refresh has it."""
    if why == "settings":
        return "measured anew in another zone or reporting currency of the group"
    return f"measured anew by release {release}" if release else "measured anew by another release"


def all_measured_anew(why: str, release: str, contracts: int, *, complete: bool) -> str:
    """The same of the whole, a sentence. `complete`: else at least so many."""
    told = many(contracts, "contract") if complete else f"at least {many(contracts, 'contract')}"
    return (
        f"All facts were {measured_anew(why, release)} meanwhile: {told} of which nothing came to be known read "
        "otherwise because of that alone, and are told apart."
    )


def version_of(version: int, before: int) -> str:
    """`definition version 3`, `definition version 3, before 2`."""
    return f"definition version {version}" + (f", before {before}" if before != version else "")


def redefined(named: Sequence[tuple[str, int, int]]) -> str:
    """What a definition that changed does to the first report's number: title, version then and now."""
    if not named:
        return ""
    told = ", ".join(f"{title} ({version_of(now, before)})" for title, before, now in named)
    return (
        f"Defined otherwise since: {told}. What is shown as first made is worked out by the present definition, so it "
        "may differ from the number that was printed then."
    )


def plain(text: str) -> str:
    """A text of ours for people who know no name of ours: `hours_of_touch` is hours of touch."""
    return _NAME.sub(lambda found: found[0].replace("_", " "), text.replace("`", ""))


def moment(at: datetime, zone: str) -> str:
    """`23 Nov 2026, 06:00 (Europe/London)`."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%b %Y, %H:%M} ({zone})"


def short_moment(at: datetime, zone: str) -> str:
    """`23 Nov 06:00`, in the zone."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%b %H:%M}"


def _shown(exact: Decimal, unit: Unit, currency: str) -> str:
    if unit is Unit.SHARE:
        return f"{exact * 100:.1f}%"
    if unit is Unit.COUNT:
        return f"{exact:,.0f}"
    if unit in _MONEY:
        return f"{_symbol(currency)}{_scaled(exact)}{'·d' if unit is Unit.MONEY_DAYS else ''}"
    if unit in (Unit.HOURS, Unit.WORKING_HOURS) and exact < 1:
        return f"{exact * 60:.0f} {'working ' if unit is Unit.WORKING_HOURS else ''}min"
    if unit is Unit.RATIO:
        return f"{exact:,.2f}".rstrip("0").rstrip(".")
    return f"{exact:,.1f} {_UNITS[unit]}" if exact >= 1 or not exact else f"{exact:,.2f} {_UNITS[unit]}"


def _scaled(exact: Decimal) -> str:
    for scale, letter in _SCALES:
        if exact >= scale:
            parts = exact / scale
            return f"{parts:,.2f}{letter}" if parts < 10 else f"{parts:,.1f}{letter}" if parts < 100 else (
                f"{parts:,.0f}{letter}"
            )  # fmt: skip
    return f"{exact:,.0f}"


@cache
def _symbol(currency: str) -> str:
    symbol = get_currency_symbol(currency, LOCALE)
    return symbol if len(symbol) == 1 else f"{currency}\u00a0"
