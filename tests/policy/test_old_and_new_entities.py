"""Two ERPs side by side: legal entities of old bill from the old one, new ones from the cloud; by estate or policy."""

import pytest

from sync_core.estate.estate import Estate, load
from tests.core.test_approvals import event
from tests.folds import fold
from tests.sows import milestone_terms, signed

_ENTITY = """
[[entity]]
code = "{code}"
name = "{code}"
country = "{country}"
currency = "{currency}"
timezone = "UTC"
erp = "{erp}"
"""
_ESTATE = """
[group]
name = "Test Partners"
reporting_currency = "USD"

[[clm]]
name = "clm"
source = "urn:test:clm"
kind = "sandbox"

[[erp]]
name = "cloud"
kind = "sandbox_cloud"

[[erp]]
name = "legacy"
kind = "sandbox_legacy"

[erp.options]
zone = "Europe/Lisbon"
opens = "22:00"
closes = "04:00"
answers = "06:00"

[[revenue]]
recognition = "point_in_time"
account = "4000"
category = "REV"
"""
_WHERE = {"PT01": ("PT", "EUR"), "MX01": ("MX", "MXN"), "NZ26": ("NZ", "NZD")}
BY_POLICY = """
[[route]]
name = "Historical entities"
legal_entity = ["PT01", "MX01"]
erp = "legacy"

[[route]]
name = "Advisory work of all is new"
service_line = "advisory"
erp = "cloud"

[[route]]
name = "So is that of Portugal"
legal_entity = "PT01"
service_line = "advisory"
erp = "cloud"
"""


def _estate(erps: dict[str, str], policy: str | None = None) -> Estate:
    entities = [_ENTITY.format(code=code, country=where[0], currency=where[1], erp=erps[code])
                for code, where in _WHERE.items()]  # fmt: skip
    return load(_ESTATE + "".join(entities), policy)


def _lane(estate: Estate, entity: str, **changes: object) -> str | None:
    terms = milestone_terms(legal_entity=entity, currency=_WHERE[entity][1], **changes)
    return estate.lane_of(fold([event("com.tieline.contract.signed.v1", 0, signed("C-1", terms))]).terms)


@pytest.mark.parametrize("said_in", ["estate", "policy"])
def test_entities_of_old_bill_from_the_old_erp_and_new_ones_from_the_cloud(said_in: str) -> None:
    old = {"PT01": "legacy", "MX01": "legacy", "NZ26": "cloud"}
    estate = _estate(old) if said_in == "estate" else _estate(dict.fromkeys(_WHERE, "cloud"), BY_POLICY)
    assert {code: _lane(estate, code) for code in _WHERE} == old


def test_a_service_line_of_an_old_entity_may_be_in_the_cloud_already() -> None:
    estate = _estate(dict.fromkeys(_WHERE, "cloud"), BY_POLICY)
    assert _lane(estate, "PT01", service_line="advisory") == "cloud"
    # Whoever answers for a legal entity is not overruled by a rule for all of them.
    assert _lane(estate, "MX01", service_line="advisory") == "legacy"
