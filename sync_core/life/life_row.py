"""What a contract's row shows of its lifecycle: the renewal that comes next, and a suspension in force. Pure."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sync_core.contract import Contract, Stage, Suspension
from sync_core.life.lifecycle import on_day


class RenewalState(StrEnum):
    NONE = ""
    MANUAL = "manual"  # it has to be agreed
    AUTOMATIC = "automatic"  # it comes by itself unless it is declined
    INITIATED = "initiated"  # the parties talk about it
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class LifeRow:
    """`renewal_due`: by when somebody has to act, or when a contract that is not renewed ends."""

    renewal: RenewalState = RenewalState.NONE
    renews_on: date | None = None
    notice_by: date | None = None
    renewal_due: date | None = None
    suspension: str = ""  # in words


def life_row(contract: Contract, on: date) -> LifeRow:
    standing = on_day(contract, on)
    now, terms = standing.contract, standing.contract.terms
    if terms is None or now.stage is not Stage.SIGNED:
        return LifeRow()
    renewal, notice, state = terms.renewal, now.renewal_notice, _state(now)
    due = renewal.notice_by or renewal.renews_on or terms.ends_on
    if state is RenewalState.NONE:
        due = None
    elif state is RenewalState.DECLINED:
        due = standing.last_day or renewal.renews_on
    elif notice is not None and due is None:
        due = notice.said_on
    renews_on = renewal.renews_on if state is not RenewalState.NONE else None
    return LifeRow(state, renews_on, renewal.notice_by, due, words_of(standing.suspension))


def _state(contract: Contract) -> RenewalState:
    notice, renewal = contract.renewal_notice, contract.terms.renewal if contract.terms else None
    if notice is not None:
        return RenewalState.DECLINED if notice.declined else RenewalState.INITIATED
    if renewal is None or (renewal.renews_on is None and renewal.notice_by is None):
        return RenewalState.NONE
    return RenewalState.AUTOMATIC if renewal.automatic else RenewalState.MANUAL


def words_of(one: Suspension | None) -> str:
    if one is None:
        return ""
    until = f" until {one.ends_on}" if one.ends_on else ""
    return f"suspended since {one.begins_on}{until}{f': {one.reason}' if one.reason else ''}"
