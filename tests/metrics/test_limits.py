"""A limit that was not reached says so; where there are too few cases, the KPI says why there is no percentile."""

from metrics.durations import Durations
from metrics.kpi import Unit
from metrics.percentiles import HOUR_S, figures


def told(found: Durations, p: float) -> dict[str, tuple[bool, str]]:
    shown = figures("p", "Percentile", found.percentile(p), HOUR_S, Unit.HOURS)
    return {one.key: (one.value is not None, one.note) for one in shown}


def test_a_percentile_that_is_known_may_have_no_upper_limit() -> None:
    mostly_open = Durations.of([HOUR_S * hours for hours in range(1, 31)], [HOUR_S * 31] * 3)
    assert told(mostly_open, 0.9) == {
        "p": (True, ""), "p_low": (True, ""), "p_high": (False, "not reached: too few have ended for it"),
    }  # fmt: skip


def test_of_too_few_cases_nothing_is_said_here() -> None:
    assert told(Durations.of([HOUR_S] * 3), 0.5) == {"p": (False, ""), "p_low": (False, ""), "p_high": (False, "")}
