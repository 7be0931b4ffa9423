"""How a contract stands on a day: automatic renewals, a declined one, suspensions, ends that lie ahead. Pure.

The fold knows what was said; what follows from it by time alone is worked out here, so that it needs no event: a
renewal that comes by itself, the end of a contract whose renewal was declined, a termination or suspension with a date
ahead. `changes_on` is the next day on which the answer may be another one.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sync_core.contract import BillingKind, Contract, Renewal, Stage, Suspension, Terms
from sync_core.life.effective import in_force

_DAY = timedelta(days=1)
_LAST_YEAR = date.max.year - 1


@dataclass(frozen=True, slots=True)
class Standing:
    """`contract`: its terms renewed, its stage as of that day. `wanted`: the terms for which something has to exist; of
    an ended contract those of what it has left to bill.
    """

    contract: Contract
    wanted: Terms | None = None
    suspension: Suspension | None = None  # in force
    changes_on: date | None = None
    last_day: date | None = None  # after it the contract is over, because its renewal was declined

    @property
    def ended_on(self) -> date | None:
        """Of a contract that has ended by that day."""
        return None if self.contract.stage is Stage.SIGNED else self.contract.ended_on


def on_day(contract: Contract, on: date) -> Standing:
    """`on` is the day at the legal entity. A contract without terms stands as its events say."""
    if contract.terms is None or contract.signed_at is None:
        return Standing(contract)
    if contract.ended_on is not None and contract.ended_on <= on:
        worked = contract.stage is not Stage.CANCELLED
        ended, _ = in_force(contract, contract.ended_on)
        return Standing(ended, _earned(ended.terms, contract.ended_on) if worked else None)
    last = _last_day(_renewed(contract, on), _meant(contract))
    if last is not None and last < on:
        ended, _ = in_force(_renewed(contract, on), last)
        over = replace(ended, stage=Stage.EXPIRED, ended_on=last)
        return Standing(over, _earned(over.terms, last))
    contract, amended_on = in_force(contract, on)
    renewed = _renewed(contract, on)
    suspension = next((one for one in renewed.suspensions if _covers(one, on)), None)
    coming = [day for day in (*_changes(contract, renewed, last), amended_on) if day is not None and day > on]
    # An end that lies ahead: until then it is a signed contract like any other.
    now = replace(renewed, stage=Stage.SIGNED)
    return Standing(now, now.terms, suspension, min(coming, default=None), last)


def _earned(terms: Terms | None, until: date) -> Terms | None:
    """With the milestones that were due by then alone; None: there are none."""
    if terms is None or terms.billing.kind is not BillingKind.MILESTONES:
        return None
    due = tuple(milestone for milestone in terms.milestones if milestone.due_on <= until)
    return replace(terms, milestones=due) if due else None


def _changes(contract: Contract, renewed: Contract, last: date | None) -> Iterator[date]:
    if contract.ended_on is not None:
        yield contract.ended_on
    if last is not None and last < date.max:
        yield last + _DAY
    terms = renewed.terms
    if terms is not None and last is None and terms.renewal.automatic and terms.renewal.renews_on is not None:
        yield terms.renewal.renews_on
    for one in renewed.suspensions:
        yield one.begins_on
        if one.ends_on is not None:
            yield one.ends_on


def _covers(one: Suspension, on: date) -> bool:
    return one.begins_on <= on and (one.ends_on is None or on < one.ends_on)


def suspended(contract: Contract, one: Suspension) -> Contract:
    """With one more; it stands above an earlier one that would have gone on beyond its begin."""
    return replace(contract, suspensions=(*_until(contract, one.begins_on), one))


def resumed(contract: Contract, on: date) -> Contract:
    """Whatever is suspended goes on from that day."""
    return replace(contract, suspensions=tuple(_until(contract, on)))


def _until(contract: Contract, day: date) -> Iterator[Suspension]:
    for one in contract.suspensions:
        if one.begins_on < day:
            yield replace(one, ends_on=day if one.ends_on is None else min(one.ends_on, day))


def _renewed(contract: Contract, on: date) -> Contract:
    """After the automatic renewals up to the day; a declined one and those after it do not come."""
    terms, notice = contract.terms, contract.renewal_notice
    if terms is None or not terms.renewal.automatic or terms.renewal.renews_on is None:
        return contract
    meant, until = _meant(contract), on
    if notice is not None and notice.declined and meant is not None:
        until = min(on, _moved(meant, -_DAY))
    renewal = _after(terms.renewal, until)
    if renewal == terms.renewal:
        return contract
    if notice is not None and not notice.declined and meant is not None and meant <= on:
        notice = None  # what they talked about has come
    return replace(contract, terms=replace(terms, renewal=renewal, ends_on=_end(terms, renewal)), renewal_notice=notice)


def _after(renewal: Renewal, day: date) -> Renewal:
    """The first one after that day; one without a term is the last one, so that nothing is left to renew."""
    begins, term = renewal.renews_on, renewal.term_months
    if begins is None or begins > day:
        return renewal
    if term is None or term < 1:
        return replace(renewal, renews_on=None, notice_by=None)
    months = (day.year - begins.year) * 12 + day.month - begins.month
    times = max(months // term, 1)
    coming = _later(begins, times * term)
    if coming <= day:
        coming = _later(begins, (times + 1) * term)
    notice_by = None if renewal.notice_by is None else _moved(coming, renewal.notice_by - begins)
    return replace(renewal, renews_on=coming, notice_by=notice_by)


def _later(day: date, months: int) -> date:
    """The same day of the month so many months later, or the last one where it has none such."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year > _LAST_YEAR:
        return date.max
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _end(terms: Terms, renewal: Renewal) -> date | None:
    """It ends as long before its next renewal as it did before; without a next one it has no end."""
    if terms.ends_on is None or renewal.renews_on is None or terms.renewal.renews_on is None:
        return None
    return _moved(renewal.renews_on, terms.ends_on - terms.renewal.renews_on)


def renewed_end(contract: Contract, renewal: Renewal, said_on: date) -> date | None:
    """The last day after a renewal that was agreed without naming it: as long before the next one as before.

    Where no next one is named, the end that the contract has by itself on the day on which it was said, or after the
    renewal that was ahead then.
    """
    terms = contract.terms
    if terms is None or terms.ends_on is None or terms.renewal.renews_on is None:
        return terms.ends_on if terms is not None else None
    if renewal.renews_on is not None:
        return _end(terms, renewal)
    by_itself = _renewed(replace(contract, renewal_notice=None), max(said_on, terms.renewal.renews_on)).terms
    return by_itself.ends_on if by_itself is not None else None


def _moved(day: date, by: timedelta) -> date:
    """Within the calendar: contracts may name its first and its last day."""
    return day + max(min(by, date.max - day), date.min - day)


def _meant(contract: Contract) -> date | None:
    """The renewal that a notice is about; None: there is no notice, or nothing left to renew."""
    terms, notice = contract.terms, contract.renewal_notice
    if terms is None or notice is None:
        return None
    return notice.renews_on or _after(terms.renewal, notice.said_on).renews_on


def _last_day(contract: Contract, meant: date | None) -> date | None:
    """Of a contract whose renewal was declined: its end, or the day before it would have been renewed."""
    terms, notice = contract.terms, contract.renewal_notice
    if terms is None or notice is None or not notice.declined:
        return None
    coming = terms.renewal.renews_on
    if terms.renewal.automatic and coming is not None and (meant is None or coming < meant):
        return None  # others come before the one that was declined
    if terms.ends_on is not None:
        return terms.ends_on
    return _moved(terms.renewal.renews_on, -_DAY) if terms.renewal.renews_on is not None else None
