"""The dispute rate of random invoices against a slow recomputation."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Window
from metrics.kpi import Answer
from tests.metrics.billing import NOW, Books, dispute, figures, invoice

TODAY = NOW.date()
CAUSES = ["", "rate", "quality"]


@pytest.fixture
def books(database: sa.Engine) -> Books:
    return Books(database)


# One invoice: day of issue after the first of January, its disputes as (days after issue, amount, last status), cause.
_DISPUTE = st.tuples(st.integers(0, 90), st.integers(1, 200), st.sampled_from(["open", "upheld", "withdrawn"]))
_INVOICES = st.lists(
    st.tuples(st.integers(0, 300), st.integers(1, 150), st.lists(_DISPUTE, max_size=3), st.sampled_from(CAUSES)),
    max_size=12,
)


def _held(answer: Answer) -> tuple[int, int, Decimal, int]:
    """Invoices, disputed ones, their money, upheld ones; of no invoice all zero."""
    if not answer.n:
        return 0, 0, Decimal(0), 0
    disputed, money, upheld = figures(answer, "band", "disputed_amount", "upheld")
    assert isinstance(disputed, int)
    assert isinstance(money, Decimal)
    assert isinstance(upheld, int)
    return answer.n, disputed, money, upheld


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=_INVOICES, week=st.integers(0, 40), weeks=st.integers(1, 20))
def test_it_is_what_a_slow_recomputation_gives(
    books: Books, drawn: list[tuple[int, int, list[tuple[int, int, str]], str]], week: int, weeks: int
) -> None:
    """Examples add to each other: what the new invoices add to the numbers is compared."""
    one = books.contract()
    window = Window(date(2026, 1, 5) + timedelta(weeks=week), date(2026, 1, 5) + timedelta(weeks=week + weeks))
    n, disputed, money, upheld = _held(books.rate(window))
    for number, (after, amount, disputes, cause) in enumerate(drawn):
        on = date(2026, 1, 1) + timedelta(days=after)
        invoice(books.engine, one, f"{one}-{number}", str(amount), str(on))
        for m, (later, sum_, status) in enumerate(disputes):
            dispute(books.engine, one, f"{one}-{number}", str(sum_), str(on + timedelta(days=later)),
                    ref=f"{one}-{number}-{m}", status=status, cause=cause or None)  # fmt: skip
        monday = on - timedelta(days=on.weekday())
        if window.start <= on < window.end and monday + timedelta(days=66) <= TODAY:
            in_time = [(sum_, status) for later, sum_, status in disputes if later <= 60]
            n, disputed = n + 1, disputed + bool(in_time)
            money += min(Decimal(sum(s for s, _ in in_time)), Decimal(amount))
            upheld += any(status == "upheld" for _, status in in_time)
    books.refresh()
    assert _held(books.rate(window)) == (n, disputed, money, upheld)
