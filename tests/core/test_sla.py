"""When an owner's time is up, also where the contract's legal entity is not known."""

from datetime import UTC, datetime

import pytest

from sync_core.cases.sla import due
from sync_core.errors import Function
from sync_core.estate.estate import load
from tests import rows

OWNER = """
[[owner]]
function = "master_data"
name = "Master data"
email = "data@example.test"
sla_working_hours = 4
"""
ESTATE = load(rows.ESTATE_TEXT + OWNER)
MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("entity", "hour"),
    [("US01", 18), ("DE01", 12), ("nobody knows it", 13), ("", 13)],  # 9:00 there, of London where it is not known
)
def test_it_is_the_working_time_of_the_entity_or_else_of_the_group(entity: str, hour: int) -> None:
    assert due(ESTATE, Function.MASTER_DATA, entity, MONDAY) == MONDAY.replace(hour=hour)


def test_without_an_owner_there_is_none() -> None:
    assert due(ESTATE, Function.LEGAL, "US01", MONDAY) is None
