"""Where versions stand on a day, what their senders are told, and what an estate file may say of them."""

from datetime import date
from email.utils import parsedate_to_datetime

import pytest

from sync_core.errors import InvalidEstate
from sync_core.estate.estate import load
from sync_core.estate.schemas import SchemaPlan
from sync_core.events import PREFIX, REGISTRY
from sync_core.schemas.versions import NAMING, State, headers, versions
from tests.sows import ESTATE_TOML

V1, V2 = f"{PREFIX}signed.v1", f"{PREFIX}signed.v2"
PLAN = SchemaPlan(V1, date(2026, 6, 1), date(2027, 1, 31), date(2027, 3, 1))


def test_every_version_follows_the_naming_standard_and_has_an_owner() -> None:
    known = versions()
    assert known.keys() == REGISTRY.keys()
    for name, one in known.items():
        assert NAMING.fullmatch(name)
        assert one.successor is None or one.successor in known


@pytest.mark.parametrize(
    ("day", "state"),
    [("2026-05-31", State.ACTIVE), ("2026-06-01", State.DEPRECATED), ("2027-02-28", State.DEPRECATED),
     ("2027-03-01", State.REMOVED)],
)  # fmt: skip
def test_a_state_begins_with_its_day(day: str, state: State) -> None:
    assert versions([PLAN])[V1].state(date.fromisoformat(day)) is state


def test_senders_of_a_deprecated_version_are_told_the_nearest_dates_and_what_follows() -> None:
    known = versions([PLAN, SchemaPlan(f"{PREFIX}renewed.v1", date(2026, 5, 1))])
    on = date(2026, 12, 24)
    assert headers([known[V2]], on) == {}
    told = headers([known[V1], known[V1], known[V2], known[f"{PREFIX}renewed.v1"]], on)
    assert told["deprecation"] == "@1777593600"  # 2026-05-01
    assert parsedate_to_datetime(told["sunset"]).date() == date(2027, 1, 31)
    assert told["sunset"] == "Sun, 31 Jan 2027 00:00:00 GMT"
    assert told["link"] == (
        f'</v1/schemas>; rel="deprecation"; type="application/json", </v1/schemas/{V2}>; rel="successor-version"'
    )
    assert "sunset" not in headers([known[f"{PREFIX}renewed.v1"]], on)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('[[schema]]\ntype = "com.tieline.contract.signed.v9"', "no event type of this release"),
        (f'[[schema]]\ntype = "{V1}"\n[[schema]]\ntype = "{V1}"', "given twice"),
        (f'[[schema]]\ntype = "{V1}"\nsunset_on = 2026-01-01', "needs deprecated_on"),
        (f'[[schema]]\ntype = "{V1}"\ndeprecated_on = 2026-02-01\nremoved_on = 2026-01-01', "in this order"),
        (f'[[schema]]\ntype = "{V1}"\nremoved = 2026-01-01', "removed is no key of .*; did you mean removed_on"),
        (
            '[[release]]\nsystem = "erp:none"\nversion = "2"\non = 2026-01-01',
            "'erp:none' is none of clm:clm, erp:cloud",
        ),
        ('[[release]]\nsystem = "erp:cloud"\nversion = " "\non = 2026-01-01', "version must have 1 to 80"),
    ],
)
def test_an_estate_file_that_contradicts_itself_is_refused(table: str, words: str) -> None:
    with pytest.raises(InvalidEstate, match=words):
        load(f"{ESTATE_TOML}\n{table}")


def test_an_estate_file_says_when_versions_end_and_which_releases_come() -> None:
    more = f"""
[[schema]]
type = "{V1}"
deprecated_on = 2026-06-01
sunset_on = 2027-01-31

[[release]]
system = "erp:cloud"
version = "2027.1"
on = 2027-01-15
note = "quarterly"
"""
    estate = load(ESTATE_TOML + more)
    assert estate.versions[V1].sunset_on == date(2027, 1, 31)
    assert estate.versions[V1].successor == V2
    assert [(one.system, one.version) for one in estate.release] == [("erp:cloud", "2027.1")]
    assert estate.rules_version == load(ESTATE_TOML).rules_version
