"""How numbers are written: money, durations, percentages, counts, times. One form per kind, everywhere.

Short forms (KPIs, chart labels) carry about three digits: $13.6M, $410K, $1.24B. Tables carry whole units.
A minus is U+2212 so that it is as wide as a plus. Below `SAMPLE_FLOOR` cases a percentile is noise and is not shown.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from zoneinfo import ZoneInfo

from babel.numbers import format_currency, get_currency_symbol

from sync_core.money import EXACT, Money

MINUS = "\u2212"
DASH = "–"
SAMPLE_FLOOR = 20
_LOCALE = "en_US"
LONGEST = 5_000  # characters of a text of others: more of it would stall the browser
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$&=@])")
_INDENT = re.compile(r"[ \t]*\n[ \t]*")
# They reorder what stands beside them: a name could show another name's letters.
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Addresses become links even when escaped; a joiner that nobody sees keeps them text.
_ADDRESS = re.compile(r"(?i)\b(https?|www)(?=:|\.)|(?<=[\w.])@(?=\w)")

# (smallest value that uses the unit, divisor, suffix, decimals). The thresholds sit at the rounding edge, so that
# 999,950 reads $1.0M and never $1000K.
_STEPS = (
    (Decimal("999995000"), Decimal(10**9), "B", 2),
    (Decimal("999500"), Decimal(10**6), "M", 1),
    (Decimal("9950"), Decimal(10**3), "K", 0),
    (Decimal("999.5"), Decimal(10**3), "K", 1),
    (Decimal(0), Decimal(1), "", 0),
)


def money(value: Money) -> str:
    """Short form with its currency: $13.6M, €410K, SGD 1.2M."""
    return _signed(value.amount, _short_money(abs(value.amount), value.currency, unit_of=abs(value.amount)))


def money_delta(value: Money, *, beside: Money) -> str:
    """A change in the unit of the figure it stands beside: +$0.4M next to $13.6M; no sign on what rounds to nothing."""
    text = _short_money(abs(value.amount), value.currency, unit_of=abs(beside.amount))
    return text if _is_nil(text) else _prefix(value.amount) + text


def money_exact(value: Money) -> str:
    """Every minor unit, for tables and confirmations: $13,600,000.00, KWD 3.500."""
    with localcontext(EXACT):  # Babel rounds in it
        text = format_currency(abs(value.amount), value.currency, locale=_LOCALE)
    symbol = get_currency_symbol(value.currency, locale=_LOCALE)
    return _signed(value.amount, f"{_symbol(value.currency)}{text.removeprefix(symbol).lstrip()}")


def money_column(currency: str) -> str:
    """The `format` of a st.column_config.NumberColumn that holds amounts of `currency` in major units."""
    return _symbol(currency).replace("%", "%%") + "%,.0f"


def duration(value: timedelta) -> str:
    """42 min, 6.4 h, 2.1 d: minutes below an hour, hours below two days, then days; "under 1 min" for what is not 0."""
    if timedelta(0) < value < timedelta(seconds=30):
        return "under 1 min"
    text = _duration(_minutes(value), unit_of=_minutes(value))
    return text if value >= timedelta(0) or _is_nil(text) else MINUS + text


def duration_delta(value: timedelta, *, beside: timedelta) -> str:
    """A change in the unit of the figure it stands beside: −0.7 h next to 6.4 h."""
    text = _duration(_minutes(value), unit_of=_minutes(beside))
    return text if _is_nil(text) else (MINUS if value < timedelta(0) else "+") + text


def percent(share: Decimal | float) -> str:
    """A share of one as a percentage with one decimal: 0.878 is 87.8%."""
    value = _round(Decimal(str(share)) * 100, 1)
    return _signed(value, f"{abs(value):,.1f}%")


def points(change: Decimal | float) -> str:
    """A change of a share, in percentage points: 0.031 is +3.1 pp."""
    value = _round(Decimal(str(change)) * 100, 1)
    return f"{_prefix(value) if value else ''}{abs(value):,.1f} pp"


def count(value: int) -> str:
    """12,000."""
    return _signed(Decimal(value), f"{abs(value):,}")


def count_delta(value: int) -> str:
    """+12, −180."""
    return f"{_prefix(Decimal(value)) if value else ''}{abs(value):,}"


def percentile(value: timedelta | None, *, cases: int) -> str:
    """The duration, or the number of cases where there are too few for a percentile to mean anything."""
    if value is None or cases < SAMPLE_FLOOR:
        return f"n = {cases}"
    return duration(value)


def moment(at: datetime) -> str:
    """23 Nov 2026 06:00 UTC."""
    return f"{_utc(at).day} {_utc(at):%b %Y %H:%M} UTC"


def day(at: datetime) -> str:
    """23 Nov 2026."""
    return f"{_utc(at).day} {_utc(at):%b %Y}"


def local_day(at: datetime, zone: str) -> str:
    """The day it is at `at` in an IANA zone: a week of London's summer begins on Sunday evening, UTC."""
    there = at.astimezone(ZoneInfo(zone))
    return f"{there.day} {there:%b %Y}"


def age(value: timedelta) -> str:
    """How old something is: "under a minute", "3 min", "6.4 h"."""
    return "under a minute" if value < timedelta(minutes=1) else duration(value)


def plural(number: int, noun: str, many: str | None = None) -> str:
    """1 contract, 34 contracts."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def shown(text: str) -> str:
    """Text of others for a place that reads no Markdown: cut at LONGEST, without marks that turn its direction."""
    kept = _DIRECTION.sub("", text[: LONGEST + 1])
    return kept if len(text) <= LONGEST else f"{kept[:LONGEST]}…"


def cell(value: object) -> object:
    """For `DataFrame.map`: the texts of a grid as `shown` gives them."""
    return shown(value) if isinstance(value, str) else value


def plain(text: str) -> str:
    """Text of others (names, causes, an ERP's words) for a place that reads Markdown: shown as it is, no links."""
    return _escaped(_INDENT.sub("\n", shown(text).strip()))


def code(text: str) -> str:
    """Text of others as a code span, in which an escape would be shown."""
    kept = shown(text).replace("`", "'")
    return f"`{kept}`"


def coded(text: str) -> str:
    """As `plain`, for words of ours with commands between backticks, which become code spans."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return plain(text)
    return "".join(code(part) if place % 2 else _escaped(shown(part)) for place, part in enumerate(parts))


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", _ADDRESS.sub("\\g<0>\u2060", text))


def _short_money(amount: Decimal, currency: str, *, unit_of: Decimal) -> str:
    _, divisor, suffix, decimals = next(step for step in _STEPS if unit_of >= step[0])
    return f"{_symbol(currency)}{_round(amount / divisor, decimals):,.{decimals}f}{suffix}"


def _duration(minutes: Decimal, *, unit_of: Decimal) -> str:
    if _round(unit_of, 0) < 60:
        return f"{_round(minutes, 0):.0f} min"
    if _round(unit_of / 60, 1) < 48:
        return f"{_round(minutes / 60, 1):.1f} h"
    return f"{_round(minutes / 1440, 1):,.1f} d"


def _minutes(value: timedelta) -> Decimal:
    return Decimal(abs(value) // timedelta(seconds=1)) / 60


def _symbol(currency: str) -> str:
    # SGD and CHF have no symbol of their own in English: the code stands, with a space that does not break.
    symbol = get_currency_symbol(currency, locale=_LOCALE)
    return f"{symbol}\u00a0" if symbol[-1:].isalpha() else symbol


def _signed(value: Decimal, text: str) -> str:
    return text if value >= 0 or _is_nil(text) else MINUS + text


def _prefix(value: Decimal) -> str:
    return MINUS if value < 0 else "+"


def _is_nil(text: str) -> bool:
    return not any(digit in text for digit in "123456789")


def _round(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP, context=EXACT)


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a shown time is aware; pass a datetime with its zone")
    return at.astimezone(UTC)
