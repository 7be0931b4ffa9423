"""Events that earlier releases let in although a number in them is none: no refresh fails for them."""

from datetime import date

import orjson
import pytest
import sqlalchemy as sa

from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.flow_rows import Made, facts, made, said
from tests.metrics.money_rows import BEFORE, terms
from tests.metrics.support import caught_up


def _amendment(number: object) -> dict[str, object]:
    return {"number": number, "executed_at": BEFORE.isoformat()}


@pytest.mark.parametrize(
    ("what", "said_so"),
    [
        ("amended", {"revision": True, "amendment": _amendment(1)}),
        ("amended", {"revision": "1_0", "amendment": _amendment("1_0")}),
        ("amended", {"revision": 2, "amendment": _amendment(True)}),
        ("corrected", {"revision": [], "overrides": True}),
        ("corrected", {"revision": 2, "overrides": "one"}),
    ],
)
def test_an_odd_number_stops_no_measures(database: sa.Engine, what: str, said_so: dict[str, object]) -> None:
    contract = _signed(database)
    changes = {"milestones": [{"key": "a", "amount": "1_0", "due_on": 20_000}, {"key": "z", "amount": "NaN"}, 7],
               "remove_milestones": [7, {}], "value": "1_0"}  # fmt: skip
    said(database, contract, what, BEFORE, changes=changes, **said_so)
    caught_up(database, VirtualClock(rows.NOW), rows.estate())
    assert len(facts(database, "contract")) == 1
    # What can be read of the signature is still planned.
    assert date(2027, 6, 1) in [row["month"] for row in facts(database, "schedule")]


def _signed(engine: sa.Engine) -> Made:
    contract = made(engine, BEFORE, BEFORE, state="waiting")
    said(engine, contract, "signed", BEFORE, revision=1, signed_at=BEFORE.isoformat(),
         terms=orjson.loads(orjson.dumps(terms())))  # fmt: skip
    return contract
