"""What an estate file may not say is refused when it is loaded, by the key that is wrong."""

import subprocess
import sys

import pytest
from holidays import list_supported_countries
from holidays.registry import EntityLoader

from sync_core.errors import InvalidEstate
from sync_core.estate import estate
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
        (WORKING_TIME.replace('"US"', '"GB-XYZ"'), "names a part that is not known; use one of GB-ENG, "),
        (WORKING_TIME.replace('"US"', '"GB-"'), "US01: working_time.country 'GB-'"),
        (WORKING_TIME.replace("17:00:00", "08:00:00"), "US01: working_time closes at 08:00:00"),
        (WORKING_TIME.replace("opens", "weekdays = [], opens"), "US01: working_time.weekdays"),
        (WORKING_TIME.replace("opens", "weekdays = [0, 7], opens"), "US01: working_time.weekdays"),
    ],
)
def test_a_calendar_without_working_hours_is_refused_at_once(written: str, complaint: str) -> None:
    with pytest.raises(InvalidEstate, match=complaint):
        estate.load(with_working_time(written))


@pytest.mark.parametrize("rate", ["0", "-1.1", "nan", "1e20"])
def test_a_rate_that_can_be_none_is_refused(rate: str) -> None:
    written = f'[[exchange_rate]]\ncurrency = "CHF"\nrate = {rate}\nvalid_from = 2026-01-01\n'
    with pytest.raises(InvalidEstate, match="rate"):
        estate.load(f"{ESTATE_TEXT}\n{written}")


def test_targets_of_objectives_are_those_that_the_firm_sets() -> None:
    loaded = estate.load(f'{ESTATE_TEXT}\n[[objective]]\nname = "api-latency"\ntarget = 0.995\n')
    assert loaded.objectives == {"api-latency": 0.995}
    assert estate.load(f'{ESTATE_TEXT}\n[[objective]]\nname = "read-back"\ntarget = 1\n').objectives["read-back"] == 1
    assert estate.load(ESTATE_TEXT).objectives == {}


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ('name = "latency"\ntarget = 0.9', "'latency' is no objective; there are provisioned-in-time"),
        ('name = "api-latency"\ntarget = 99.5', "api-latency: target must be a share from 0.5 to 0.99999, such as"),
        ('name = "api-latency"\ntarget = 1', "api-latency: target must be a share from 0.5"),
        ('name = "api-latency"\ntarget = nan', "api-latency: target must be a share from 0.5"),
        ('name = "read-back"\ntarget = 0.2', "to 0.99999, or 1 for all, such as"),
        (
            'name = "api-latency"\ntarget = "high"',
            r"\[\[objective\]\] 1 'api-latency': target 'high': must be a valid number",
        ),
        ('name = "api-latency"\ntarget = 0.9\nslo = 1', r"slo is no key of \[\[objective\]\]; use name, target"),
        ('name = "api-latency"\ntarget = 0.9\n[[objective]]\nname = "api-latency"\ntarget = 0.8', "given twice"),
    ],
)
def test_a_target_that_says_nothing_is_refused(written: str, complaint: str) -> None:
    with pytest.raises(InvalidEstate, match=complaint):
        estate.load(f"{ESTATE_TEXT}\n[[objective]]\n{written}\n")


def test_known_countries_are_those_with_holidays_and_no_others_are_loaded_for_it() -> None:
    estate_file = with_working_time(WORKING_TIME)
    code = "import sys; from sync_core.estate import estate; estate.load(sys.stdin.read()); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], input=estate_file, capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if name.startswith("holidays.countries.")] == []
    assert set(EntityLoader.get_country_codes()) == set(list_supported_countries())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('erp = "cloud"\n', 'erp = "cloud"\nbill_rnus = [20, -1]\n',
         "[[entity]] 1 'US01': bill_rnus is no key of [[entity]]; did you mean bill_runs?"),
        ('erp = "cloud"\n', 'erp = "cloud"\nworking_time = { opns = 09:00:00 }\n',
         "[[entity]] 1 'US01': opns is no key of working_time in [[entity]]; did you mean opens?"),
        ("[[entity]]\n", "[replay]\nper_minut = 5\n[[entity]]\n",
         "[replay]: per_minut is no key of [replay]; did you mean per_minute?"),
        ("[[entity]]\n", "[[entitty]]\ncode = 'US02'\n[[entity]]\n",
         "entitty is no table or key of it; did you mean entity?"),
    ],
)  # fmt: skip
def test_a_misspelt_key_is_refused_with_the_one_that_was_meant(old: str, new: str, complaint: str) -> None:
    assert old in ESTATE_TEXT
    with pytest.raises(InvalidEstate) as refused:
        estate.load(ESTATE_TEXT.replace(old, new, 1))
    assert refused.value.message == f"estate file: {complaint}"
