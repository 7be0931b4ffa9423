"""Test only: exceptions with histories that a test writes down as (hours, what, function, actor)."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from tests.reads.handmade import add_case, insert

Step = tuple[float, str, str, str]  # hours after the start, what, the function that has it then, who
TIELINE = "tieline"
_CLOSES = {"resolved": "read_back", "decided": "decision", "refused": "decision"}


def with_history(
    engine: sa.Engine,
    contract_id: int,
    start: datetime,
    steps: list[Step],
    *,
    cause: str = "rate_missing",
    **columns: object,
) -> int:
    """One exception, as its last step left it; its id."""
    at = [start + timedelta(hours=step[0]) for step in steps]
    opens = [moment for moment, step in zip(at, steps, strict=True) if step[1] in ("opened", "reopened")]
    ends = [(moment, step[1]) for moment, step in zip(at, steps, strict=True) if step[1] in _CLOSES]
    closed = bool(ends) and ends[-1][0] >= opens[-1]
    last = ends[-1] if closed else None
    values: dict[str, object] = {
        "function": steps[-1][2],
        "state": "open" if last is None else "resolved" if last[1] == "resolved" else "decided",
        "closed_how": None if last is None else _CLOSES[last[1]],
        "resolved_at": None if last is None else last[0],
        "opened_at": opens[-1],
        "first_opened_at": opens[0] if len(opens) > 1 else None,
        "seen_at": opens[-1],
    }
    case_id = add_case(engine, contract_id, cause, hours=1.0, **(values | columns))
    before: str | None = None
    for moment, (_, what, function, actor) in zip(at, steps, strict=True):
        given = before if what == "handed_over" else None
        insert(
            engine, "case_history", case_id=case_id, what=what, function=function, actor=actor, occurred_at=moment,
            recorded_at=moment, from_function=given,
        )  # fmt: skip
        before = function
    return case_id
