"""What an estate file may not say: contradictions are refused when it is loaded, with the key and what to put there."""

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from holidays import country_holidays
from holidays.registry import EntityLoader

from sync_core.errors import InvalidEstate, InvalidMoney
from sync_core.estate.approval_rules import check as check_approvals
from sync_core.estate.delivery import check as check_delivery
from sync_core.estate.identity import check as check_identity
from sync_core.estate.master import check as check_master
from sync_core.estate.objectives import check as check_objectives
from sync_core.estate.ownership import check as check_ownership
from sync_core.estate.renewal import check as check_renewal
from sync_core.estate.schemas import check as check_schemas
from sync_core.estate.snapshot import check as check_snapshot
from sync_core.finance import MOST
from sync_core.money import exponent
from sync_core.policy.activation import check as check_activation

if TYPE_CHECKING:
    from sync_core.estate.estate import Entity, Estate, ReplayPolicy


def check(estate: "Estate") -> None:
    """Raises InvalidEstate."""
    _unique("clm.name", [c.name for c in estate.clm])
    _unique("clm.source", [c.source for c in estate.clm])
    _unique("erp.name", [e.name for e in estate.erp])
    _unique("entity.code", [e.code for e in estate.entity])
    _unique("owner.function", [o.function for o in estate.owner])
    _unique(
        "revenue rule (billing, service_line, entity)",
        [f"{r.billing or '*'}, {r.service_line}, {r.entity}" for r in estate.revenue],
    )
    check_approvals(estate.approval, estate.entities)
    zones = [("group", estate.group.timezone), *((e.code, e.timezone) for e in estate.entity)]
    for owner, zone in zones:
        _zone(owner, zone)
    currencies = {estate.group.reporting_currency, *(e.currency for e in estate.entity)}
    for currency in currencies | {r.currency for r in estate.exchange_rate}:
        _currency(currency)
    for one in estate.exchange_rate:
        if not one.rate.is_finite() or not 0 < one.rate <= MOST:
            raise InvalidEstate(f"[[exchange_rate]] {one.currency}: rate {one.rate} must be above 0, at most {MOST:,}")
    for entity in estate.entity:
        if entity.erp not in estate.erps:
            raise InvalidEstate(f"entity {entity.code}: erp {entity.erp!r} is not in [[erp]]; add it there")
        _working_time(entity)
    _replay(estate.replay)
    check_identity(estate.identity, estate.entities)
    check_delivery(estate.subscriber, estate.notify, estate.delivery, estate.entities)
    check_renewal(estate.renewal, estate.delivery)
    check_snapshot(estate.snapshot)
    check_objectives(estate.objective)
    check_activation(estate.policy_activation)
    check_ownership(estate.ownership)
    check_master(estate.mdm, [*estate.erps, *(clm.name for clm in estate.clm)])
    systems = [*(f"erp:{e.name}" for e in estate.erp), *(f"clm:{c.name}" for c in estate.clm)]
    check_schemas(estate.schema, estate.release, systems)


def _replay(policy: "ReplayPolicy") -> None:
    if policy.per_minute < 1 or policy.second_person_from_count < 1 or policy.second_person_from_money < 0:
        raise InvalidEstate("[replay]: per_minute and second_person_from_count are at least 1, the money at least 0")


def _working_time(entity: "Entity") -> None:
    """What nobody can work by would be found out in the middle of an exception's life."""
    hours = entity.working_time
    if not hours.weekdays or not set(hours.weekdays) <= set(range(7)):
        raise InvalidEstate(
            f"{entity.code}: working_time.weekdays must be days from 0 (Monday) to 6; name at least one"
        )
    if hours.opens >= hours.closes:
        raise InvalidEstate(f"{entity.code}: working_time closes at {hours.closes}, before it opens; correct it")
    if hours.country is not None:
        _holidays_of(entity.code, hours.country)


def _holidays_of(entity: str, given: str) -> None:
    code, _, part = given.partition("-")
    # The registry's codes: the package's own list of countries imports all 250 of them, half a second of each start.
    if code not in EntityLoader.get_country_codes():
        raise InvalidEstate(
            f"{entity}: working_time.country {given!r} has no holidays known here; use its ISO 3166 code, "
            "or leave it out"
        )
    if given != code and part not in (parts := country_holidays(code).subdivisions):
        listed = f"one of {', '.join(f'{code}-{one}' for one in parts)}, or {code}" if parts else code
        raise InvalidEstate(f"{entity}: working_time.country {given!r} names a part that is not known; use {listed}")


def _unique(what: str, values: list[str]) -> None:
    twice = sorted({v for v in values if values.count(v) > 1})
    if twice:
        raise InvalidEstate(f"{what} must be unique in the estate file; given twice: {', '.join(twice)}")


def _zone(owner: str, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as wrong:
        raise InvalidEstate(f"{owner}: {zone!r} is no IANA time zone; use one such as Europe/London") from wrong


def _currency(currency: str) -> None:
    try:
        exponent(currency)
    except InvalidMoney as wrong:
        raise InvalidEstate(f"estate file: {wrong.message}") from wrong
