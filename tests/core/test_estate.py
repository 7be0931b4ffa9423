"""What an estate file may not say is refused when it is loaded, by the key that is wrong."""

import pytest

from sync_core import estate
from sync_core.errors import InvalidEstate
from tests.rows import ESTATE_TEXT

WORKING_TIME = 'working_time = { opens = 09:00:00, closes = 17:00:00, country = "US" }'


def with_working_time(text: str) -> str:
    return ESTATE_TEXT.replace('erp = "cloud"\n', f'erp = "cloud"\n{text}\n', 1)


def test_a_calendar_that_people_can_work_by_is_loaded() -> None:
    assert estate.load(with_working_time(WORKING_TIME)).entities["US01"].working_time.country == "US"


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        (WORKING_TIME.replace('"US"', '"XX"'), "US01: working_time.country 'XX'"),
        (WORKING_TIME.replace("17:00:00", "08:00:00"), "US01: working_time closes at 08:00:00"),
        (WORKING_TIME.replace("opens", "weekdays = [], opens"), "US01: working_time.weekdays"),
        (WORKING_TIME.replace("opens", "weekdays = [0, 7], opens"), "US01: working_time.weekdays"),
    ],
)
def test_a_calendar_without_working_hours_is_refused_at_once(written: str, complaint: str) -> None:
    with pytest.raises(InvalidEstate, match=complaint):
        estate.load(with_working_time(written))
