"""How the API tells of replays, and how a replay is asked for."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue, model_validator

from app.api.answers import Converted, Moment, MoneyTotalView, MoneyView, Seconds, View
from app.api.inputs import NAMED, Body, Money, Named, Reason, Word
from sync_core.commands.replay_deciding import LONGEST_TICKET, MOST_PER_MINUTE
from sync_core.commands.replay_making import LONGEST_TITLE
from sync_core.desired import Kind, Scalar
from sync_core.errors import ErrorClass, Function
from sync_core.journal.progress import State
from sync_core.plan import Action
from sync_core.replay.replay import MOST_ITEMS, Eligibility, ItemState, Origin, PreviewState, ReplayState, Skip
from sync_core.replay.selection import Missed, Selection, StuckFilter


class ReplayView(View):
    """One replay; `states` count its items that are within reach."""

    replay_id: int
    title: str
    origin: Origin
    state: ReplayState
    lane: str | None
    selection: Annotated[dict[str, JsonValue], Field(description="As it was asked for")]
    items: Annotated[int, Field(description="All, whoever looks")]
    created_at: Moment
    created_by: str
    offered_from: int | None
    reason: str
    ticket: str
    per_minute: int
    confirmed_by: str | None
    confirmed_at: Moment | None
    needs_approval: bool
    approval_why: Annotated[str, Field(description="Without its figures unless all items are within reach")]
    approved_by: str | None
    approved_at: Moment | None
    approval_reason: str
    ended_by: str | None
    finished_at: Moment | None
    version: int
    whole: Annotated[bool, Field(description="All of its items are within reach")]
    states: dict[ItemState, int]
    move_from: Annotated[str | None, Field(description="Of a move: the ERP that its contracts leave")]
    move_to: str | None
    undoes: Annotated[int | None, Field(description="The move that this one takes back")]


class TotalsView(View):
    """Over the items within reach; effects and money of what was or may be carried out, so not of what is stopped."""

    whole: bool
    items: int
    ended: int
    states: dict[ItemState, int]
    previews: dict[PreviewState, int]
    waiting: int
    in_hand: int
    creates: int
    updates: int
    activates: int
    closes: int
    no_ops: int
    conflicts: int
    money: MoneyTotalView
    changed: Annotated[int, Field(description="Skipped: the plan was not the confirmed one any more")]
    ready: Annotated[int, Field(description="What a confirmation would carry out")]
    ready_money: MoneyTotalView
    stopped: Annotated[int, Field(description="Their preview found what stops them, so they cannot be carried out")]
    stopped_money: MoneyTotalView


class ReplayDetailView(View):
    replay: ReplayView
    totals: TotalsView
    remaining: Annotated[Seconds | None, Field(description="Seconds until the last item is dispatched; null: unknown")]


class LastRefusalView(View):
    """Why the contract's last run did not get it into its ERP: it may happen again."""

    words: str
    error_class: str | None
    at: Moment | None


class ItemView(View):
    """One contract of a replay."""

    contract_id: int
    external_id: str
    title: str
    customer_name: str
    legal_entity: str
    lane: str
    position: int
    eligibility: Eligibility
    eligibility_why: str
    preview: PreviewState
    preview_why: str
    previewed_at: Moment | None
    creates: int
    updates: int
    activates: int
    closes: int
    no_ops: int
    conflicts: int
    stopped: Annotated[bool, Field(description="It cannot be carried out; `findings` say why")]
    findings: list[str]
    refused: LastRefusalView | None
    money: MoneyView | None
    money_reporting: Converted | None
    bill_on: date | None
    digest: Annotated[str | None, Field(description="Of what would be done: what is confirmed")]
    confirmed: bool
    state: ItemState
    skip: Skip | None
    words: str
    dispatched_at: Moment | None
    tries: int
    run_id: UUID | None
    finished_at: Moment | None
    billed: Annotated[MoneyView | None, Field(description="Of a move: invoiced in the ERP that it leaves")]
    to_bill: Annotated[MoneyView | None, Field(description="Of a move: left to bill in the ERP that it comes to")]


class EffectView(View):
    """One operation of the plan, field by field."""

    action: Action
    kind: Kind
    key: str
    ref: str | None
    before: dict[str, Scalar] | None
    after: dict[str, Scalar] | None
    words: str
    system: Annotated[str, Field(description="The ERP, of a move; else empty: that of the contract")]


class ItemDetailView(View):
    """Effects in the order in which they are carried out."""

    row: ItemView
    effects: list[EffectView]


class StuckView(View):
    """One contract that does not get on."""

    contract_id: int
    source: str
    external_id: str
    title: str
    customer_code: str
    customer_name: str
    legal_entity: str
    lane: str
    state: State
    state_since: Moment
    exposure: Annotated[MoneyView | None, Field(description="Money that waits")]
    exposure_reporting: Converted | None
    causes: list[str]
    functions: list[str]
    error: str | None
    error_class: str | None
    bill_on: date | None
    bill_run_at: Moment | None
    replay_id: Annotated[int | None, Field(description="The confirmed replay that is about to do it")]


class ReplayMadeView(View):
    """`to_preview`: the others ended at once, each with its reason."""

    replay_id: int
    items: int
    to_preview: int
    state: ReplayState


class ReplayConfirmedView(View):
    replay_id: int
    state: ReplayState
    version: int
    items: int
    skipped: int
    money: Annotated[Converted, Field(description="Of the items that write and have an exchange rate")]
    without_rate: int
    approval_why: Annotated[str, Field(description="Why another person must approve it; empty: nobody must")]


class ReplayMovedView(View):
    replay_id: int
    state: ReplayState
    version: int


class Stuck(Body):
    """Empty fields do not filter; without `states` what is blocked, set aside, or waiting with an error."""

    function: Function | None = None
    cause: Word = ""
    error_class: ErrorClass | None = None
    legal_entity: Word = ""
    lane: Word = ""
    states: Annotated[list[State], Field(max_length=len(State))] = Field(default_factory=list)
    customer: Word = ""
    min_money: Annotated[Money | None, Field(description="Of the value, in the reporting currency")] = None
    tests: bool = False

    @property
    def filter(self) -> StuckFilter:
        return StuckFilter(
            function=self.function or "", cause=self.cause, error_class=self.error_class or "",
            legal_entity=self.legal_entity, lane=self.lane, states=tuple(self.states), customer=self.customer,
            min_money=self.min_money, tests=self.tests,
        )  # fmt: skip


class MissedBy(Body):
    lane: Annotated[Word, Field(min_length=1, description="The ERP")]
    since: AwareDatetime


class NewReplay(Body):
    """Exactly one of `contracts`, `stuck` and `missed` says what is replayed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"contracts": [4711, 4712], "title": "after the outage"},
                {"contracts": ["C-2026-00012", "clm/C-2026-00013"]},
                {"stuck": {"function": "tax", "legal_entity": "MA-UK"}},
                {"missed": {"lane": "cloud", "since": "2026-11-22T20:00:00Z"}},
            ]
        }
    )

    contracts: Annotated[list[Named], Field(max_length=MOST_ITEMS, description=NAMED)] = Field(default_factory=list)
    stuck: Stuck | None = None
    missed: Annotated[MissedBy | None, Field(description="All that this ERP may have missed since then")] = None
    origin: Annotated[
        Origin, Field(description="`original` releases what quarantine holds of a contract and parses all bodies anew")
    ] = Origin.CURRENT
    title: Annotated[Word, Field(max_length=LONGEST_TITLE)] = ""

    @model_validator(mode="after")
    def _one(self) -> "NewReplay":
        if sum((bool(self.contracts), self.stuck is not None, self.missed is not None)) != 1:
            raise ValueError("give exactly one of contracts, stuck and missed")
        return self

    def selection(self, contracts: Sequence[int]) -> Selection:
        """`contracts`: those that it names, by Tieline's number."""
        missed = Missed(self.missed.lane, self.missed.since) if self.missed else None
        return Selection(tuple(contracts), self.stuck.filter if self.stuck else None, missed)


class Confirmation(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "restored from the backup", "ticket": "CHG-4711", "per_minute": 60}]}
    )

    reason: Reason
    ticket: Annotated[
        Word, Field(max_length=LONGEST_TICKET, description="The change's number elsewhere; estates may require it")
    ] = ""
    per_minute: Annotated[
        int | None, Field(ge=1, le=MOST_PER_MINUTE, description="Items dispatched a minute; null: as the estate says")
    ] = None
    only: Annotated[
        list[Named] | None,
        Field(min_length=1, max_length=MOST_ITEMS, description=f"These contracts; null: all. {NAMED}"),
    ] = None


class Rate(Body):
    per_minute: Annotated[int, Field(ge=1, le=MOST_PER_MINUTE)]
