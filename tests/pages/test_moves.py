"""The page of moves: begun by an operator, previewed with what stays and what goes, reconciled currency by currency."""

from decimal import Decimal

import orjson
import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from pages.kit import format as fmt
from pages.kit import lanes
from sync_core.authority import Actor, person
from sync_core.clock import VirtualClock
from sync_core.commands.moves import Leaving
from sync_core.reads import Reads
from sync_core.reads.moves import listed
from tests import rows
from tests.commands import people
from tests.engine.moves import NEW, OLD, two_erps
from tests.pages.repair import button, press, shown, told
from tests.pages.stage import play, texts
from tests.reads.handmade import add_contract, insert

ADA = people.EVERYTHING
ESTATE = two_erps()
PLAN = [
    {"action": "close", "kind": "project", "key": "crm/M-1", "ref": "P1", "before": {"value": "100"}, "after": None,
     "words": "", "system": OLD},
    {"action": "no_op", "kind": "milestone", "key": "crm/M-1#M:a", "ref": "M1", "before": {"amount": "40"},
     "after": None, "words": f"invoiced, stays in {OLD}", "system": OLD},
    {"action": "create", "kind": "project", "key": "crm/M-1", "ref": None, "before": None, "after": {"value": "60"},
     "words": "", "system": NEW},
]  # fmt: skip


@pytest.fixture
def reads(database: sa.Engine) -> Reads:
    return Reads(database, clock=VirtualClock(rows.NOW), estate=ESTATE)


def page(database: sa.Engine, reads: Reads, actor: Actor = ADA, **query: str) -> AppTest:
    return shown("moves", database, reads, actor, query, estate=ESTATE)


def plain(page: AppTest) -> str:
    return texts(page).replace("\\", "").replace("\u2060", "")


def contract(database: sa.Engine, name: str, *, currency: str = "USD") -> int:
    found = add_contract(database, external_id=name, took=1.0, lane=OLD, currency=currency)
    held(database, found, name, OLD, "100")
    return found


def held(database: sa.Engine, contract_id: int, name: str, lane: str, value: str) -> None:
    """The ERP's project, as last read back."""
    insert(database, "crosswalk", system=lane, kind="project", business_key=f"crm/{name}", state="confirmed",
           ref=f"P-{name}", contract_id=contract_id, fields=orjson.dumps({"value": value}).decode(),
           confirmed_at=rows.NOW)  # fmt: skip


def previewed(database: sa.Engine, *contracts: int) -> int:
    """A move of these contracts that workers have previewed; its id."""
    commands = people.commands(database, estate=ESTATE)
    made = commands.moves.preview(ADA, Leaving(tuple(contracts)), move_from=OLD, move_to=NEW)
    items = """
        UPDATE core.replay_item SET preview = 'done', previewed_at = :now, plan = CAST(:plan AS jsonb), digest = 'd',
            creates = 1, closes = 1, no_ops = 1, billed = 40, to_bill = 60 WHERE replay_id = :id
    """
    with database.begin() as conn:
        conn.execute(sa.text(items), {"id": made.replay_id, "plan": orjson.dumps(PLAN).decode(), "now": rows.NOW})
        conn.execute(sa.text("UPDATE core.replay SET state = 'previewed', version = version + 1"))
    return made.replay_id


def test_nothing_was_moved_yet(database: sa.Engine, reads: Reads) -> None:
    assert "Nothing was moved yet" in texts(page(database, reads))


def test_a_legal_entity_is_chosen_with_its_two_erps_and_the_moves_page_opens(database: sa.Engine, reads: Reads) -> None:
    contract(database, "M-1")
    drawn = page(database, reads)
    labels = ("Legal entity", "From the ERP", "To the ERP")
    entity, source, target = (box for box in drawn.selectbox if box.label in labels)
    entity.select("US01")
    source.select(OLD)
    target.select(NEW)
    drawn = press(drawn, "Preview the move")
    assert "Move 1 is being previewed" in told(drawn)
    assert f"Move 1: US01 from {OLD} to {NEW}" in plain(drawn)
    with database.connect() as conn:
        assert conn.scalar(sa.text("SELECT action FROM core.audit")) == "move.preview"


def test_a_choice_that_is_missing_is_said(database: sa.Engine, reads: Reads) -> None:
    contract(database, "M-1")
    drawn = press(page(database, reads), "Preview the move")
    assert any("Choose the legal entity and both ERPs" in one.value for one in drawn.warning)


def test_the_preview_says_what_closes_what_stays_and_what_is_left_to_bill(database: sa.Engine, reads: Reads) -> None:
    move_id = previewed(database, contract(database, "M-1"))
    drawn = page(database, reads, replay=str(move_id))
    table = drawn.dataframe[0].value
    assert (list(table["billed"]), list(table["to_bill"])) == (["$40.00"], ["$60.00"])
    said = "\n".join(str(one.value) for one in drawn.table)
    for words in (f"Close in {OLD}", f"Unchanged in {OLD}", f"Create in {NEW}"):
        assert words in said
    assert button(drawn, "Move 1 contract…")


def test_a_move_is_confirmed_with_a_reason(database: sa.Engine, reads: Reads) -> None:
    move_id = previewed(database, contract(database, "M-1"))
    drawn = press(page(database, reads, replay=str(move_id)), "Move 1 contract…")
    next(box for box in drawn.selectbox if box.label == "Reason").select("The legal entity goes to another ERP")
    drawn = press(drawn, "Move 1 contract")
    assert "1 contract is being moved." in told(drawn)
    with database.connect() as conn:
        assert conn.scalar(sa.text("SELECT state FROM core.replay")) == "running"


def test_the_reconciliation_adds_up_in_each_currency(database: sa.Engine, reads: Reads) -> None:
    gone = contract(database, "M-1")
    between = contract(database, "M-2", currency="GBP")
    move_id = previewed(database, gone, between)
    behind = orjson.dumps({OLD: {"billed": "40", "milestones": {}}}).decode()
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.crosswalk SET state = 'closed'"))
    for one in (gone, between):
        insert(database, "placement", contract_id=one, lane=NEW, behind=behind, replay_id=move_id, placed_at=rows.NOW)
    held(database, gone, "M-1", NEW, "60")
    report = reads.reconciliation(move_id)
    assert report is not None
    sums = [[str(getattr(total.sums, name).amount) for name in total.sums.__slots__] for total in report.totals]
    assert [total.sums.signed.currency for total in report.totals] == ["GBP", "USD"]
    assert [[Decimal(value) for value in one] for one in sums] == [[100, 40, 0, 0, 0, 60], [100, 40, 0, 0, 60, 0]]
    drawn = page(database, reads, replay=str(move_id))
    said = "\n".join(one.value.to_string() for one in drawn.table)
    assert "neither, its rest is open" in said
    assert "Of the difference, £60.00: £60.00 on its way to the new ERP (1 contract)." in plain(drawn)
    assert f"the oldest that is told is of {fmt.moment(rows.NOW)}" in plain(drawn)
    assert "Of contracts within your reach" not in plain(drawn)
    drawn = press(drawn, "Make the CSV of all contracts")
    assert [row["contract"] for row in _listed(reads, move_id)] == ["M-2", "M-1"]


def test_a_part_of_a_move_is_not_shown_as_the_whole(database: sa.Engine, reads: Reads) -> None:
    british = add_contract(database, external_id="G-1", took=1.0, lane=OLD, legal_entity="GB01", currency="USD")
    held(database, british, "G-1", OLD, "100")
    move_id = previewed(database, contract(database, "M-1"), british)
    drawn = page(database, reads, person("us@example.com", ["operator@US01"]), replay=str(move_id))
    assert "Of contracts within your reach; the move has others." in plain(drawn)


def _listed(reads: Reads, move_id: int) -> list[dict[str, object]]:
    return listed(reads.all_reconciled(move_id))


def test_who_may_not_preview_sees_moves_and_begins_none(database: sa.Engine, reads: Reads) -> None:
    previewed(database, contract(database, "M-1"))
    drawn = page(database, reads, person("cfo@example.com", ["executive"]))
    assert "An operator may preview and confirm a move" in plain(drawn)
    assert not [one for one in drawn.button if one.label == "Preview the move"]
    nobody = play("moves", reads, actor=person("nobody@example.com", []))
    assert "This needs the permission" in texts(nobody)


def test_beyond_ones_reach_there_is_no_move(database: sa.Engine, reads: Reads) -> None:
    move_id = previewed(database, contract(database, "M-1"))
    drawn = page(database, reads, person("gb@example.com", ["operator@GB01"]), replay=str(move_id))
    assert "There is no replay by this link" in plain(drawn)


def test_a_contract_says_that_it_was_moved_and_what_stayed_behind(database: sa.Engine, reads: Reads) -> None:
    one = contract(database, "M-1")
    move_id = previewed(database, one)
    behind = orjson.dumps({OLD: {"billed": "40", "milestones": {}}}).decode()
    insert(database, "placement", contract_id=one, lane=NEW, behind=behind, replay_id=move_id, placed_at=rows.NOW,
           left_at=rows.NOW)  # fmt: skip
    drawn = plain(play("contract", reads, {"id": str(one)}, actor=ADA))
    assert f"It was moved to {NEW}" in drawn
    assert f"Invoiced before, and staying there: $40.00 in {OLD}." in drawn


def test_what_would_be_done_in_an_erp_that_is_only_observed_is_shown_and_counted(
    database: sa.Engine, reads: Reads
) -> None:
    one = add_contract(database, external_id="O-1", lane=NEW, state="waiting")
    words = f"{NEW} is only observed; would create 1"
    insert(database, "observed", contract_id=one, lane=NEW, words=words, plan=orjson.dumps(PLAN[2:]).decode(),
           findings="[]", observed_at=rows.NOW)  # fmt: skip
    insert(database, "lane", lane=NEW, max_in_flight=8)
    shown_ = play("contract", reads, {"id": str(one)}, actor=ADA)
    assert "Cloud is only observed; would create 1" in plain(shown_) or words in plain(shown_)
    assert f"**Not written to its ERP**: {NEW} is only observed. Further down" in plain(shown_)
    assert "queued for its ERP; nobody needs to act" not in plain(shown_)
    assert "crm/M-1" in "\n".join(str(table.value) for table in shown_.table).replace("\\", "")
    (lane,) = [lane for lane in reads.within(ADA).status().lanes if lane.lane == NEW]
    assert lane.observed == 1
    assert "Only observed: 1 contract" in lanes.row(lane, rows.NOW)[1]
