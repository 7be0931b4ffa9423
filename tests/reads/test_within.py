"""A limited view: nothing of other legal entities is read, by whatever read, and nothing without its permission."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sync_core.authority import Actor, Forbidden, person, program
from sync_core.journal.progress import State
from sync_core.reads import ContractFilter, ExceptionFilter, Reads, Window
from tests.commands.minimal import arguments
from tests.reads.handmade import add_case, add_contract, add_event, add_quarantined, insert
from tests.rows import NOW, SOURCE

LONDON = person("london@example.com", ["executive@GB01"])
EVERYWHERE = person("group@example.com", ["executive"])
NOBODY = person("new@example.com", [])


@pytest.fixture
def firm(database: sa.Engine) -> dict[str, int]:
    """One blocked contract of each of two entities, one whose entity is not known; their ids by external id."""
    insert(database, "lane", lane="cloud", max_in_flight=4)
    ids = {}
    for name, entity, money, line in (("L-1", "GB01", 10, "tax"), ("N-1", "US01", 500, "audit"), ("X-1", "", 900, "")):
        ids[name] = add_contract(
            database, external_id=name, legal_entity=entity, value_reporting=Decimal(money), state="blocked",
            service_line=line,
        )  # fmt: skip
        add_case(database, ids[name], "po_missing", exposure_reporting=Decimal(money), function="tax")
        add_event(database, name, "com.tieline.contract.drafted.v1", "{}", at=NOW - timedelta(hours=1))
        add_contract(database, legal_entity=entity, value_reporting=Decimal(money), signed=2)
    add_quarantined(database, "L-1", hours=3)
    add_quarantined(database, "Q-9", hours=3)
    return ids


def test_every_read_of_a_limited_view_tells_of_its_entities_alone(firm: dict[str, int], reads: Reads) -> None:
    mine = reads.within(LONDON)
    assert mine.intake()["events"].tolist()[-1] == 1
    assert {row.legal_entity for row in mine.contracts().rows} == {"GB01"}
    assert [row.external_id for row in mine.exceptions().rows] == ["L-1"]
    assert [group.exposure.money.amount for group in mine.exception_groups()] == [10]
    assert sum(bucket.count for bucket in mine.exception_ageing().working) == 1
    assert [lane.waiting.money.amount for lane in mine.lanes()] == [10]
    told = mine.status()
    assert (told.by_state[State.BLOCKED], told.by_state[State.WAITING], told.quarantine_open) == (1, 1, 1)
    assert told.oldest_waiting_age_s == 2 * 3600
    choices = mine.choices()
    assert (list(choices.entities), choices.service_lines) == (["GB01"], ("tax",))


def test_the_whole_view_is_not_changed_by_a_limited_one(firm: dict[str, int], reads: Reads) -> None:
    for whole in (reads, reads.within(EVERYWHERE), reads.within(LONDON).within(EVERYWHERE)):
        assert sum(lane.waiting.money.amount for lane in whole.lanes()) > 20
        assert len(whole.contracts().rows) == 6
        assert len(whole.exceptions().rows) == 3
        assert whole.status().quarantine_open == 2
    assert len(reads.within(LONDON).contracts().rows) == 2


@pytest.mark.parametrize("name", ["N-1", "X-1"])
def test_a_contract_out_of_reach_is_not_there(firm: dict[str, int], reads: Reads, name: str) -> None:
    mine = reads.within(LONDON)
    assert reads.contract(firm[name]) is not None
    assert mine.contract(firm[name]) is None
    assert mine.contract((SOURCE, name)) is None
    assert mine.contract(firm["L-1"]) is not None


@pytest.mark.parametrize("entity", ["US01", "XX99", ""])
def test_a_filter_does_not_widen_the_reach(firm: dict[str, int], reads: Reads, entity: str) -> None:
    mine = reads.within(LONDON)
    assert {row.legal_entity for row in mine.contracts(ContractFilter(legal_entity=entity)).rows} <= {"GB01"}
    assert {row.legal_entity for row in mine.exceptions(ExceptionFilter(legal_entity=entity)).rows} <= {"GB01"}


def test_a_page_link_does_not_widen_the_reach(firm: dict[str, int], reads: Reads) -> None:
    edge = reads.contracts(window=Window(1)).after
    for window in (Window(1, after=edge), Window(1, before=edge)):
        assert {row.legal_entity for row in reads.within(LONDON).contracts(window=window).rows} <= {"GB01"}


def test_a_contract_without_a_known_entity_is_for_those_without_a_limit(firm: dict[str, int], reads: Reads) -> None:
    every = person("all@example.com", ["executive@" + "+".join(reads.estate.entities)])
    assert "X-1" not in {row.external_id for row in reads.within(every).contracts().rows}
    assert "X-1" in {row.external_id for row in reads.within(EVERYWHERE).contracts().rows}


def calls(reads: Reads) -> dict[str, Callable[[], object]]:
    return {
        "newest": reads.newest,
        "intake": reads.intake,
        "contracts": reads.contracts,
        "contract": lambda: reads.contract(1),
        "choices": reads.choices,
        "lanes": reads.lanes,
        "status": reads.status,
        "exceptions": reads.exceptions,
        "groups": reads.exception_groups,
        "ageing": reads.exception_ageing,
    }


@pytest.mark.parametrize(
    ("actor", "refused"),
    [
        (EVERYWHERE, set()),
        (NOBODY, set(calls(Reads.__new__(Reads)))),
        (program("p", ["contracts:read"]), {"exceptions", "groups", "ageing"}),
        (
            program("p", ["exceptions:read"]),
            {"newest", "intake", "contracts", "contract", "choices", "lanes", "status"},
        ),
    ],
)
def test_each_read_asks_for_its_permission(reads: Reads, actor: Actor, refused: set[str]) -> None:
    raised = set()
    for name, call in calls(reads.within(actor)).items():
        try:
            call()
        except Forbidden:
            raised.add(name)
    assert raised == refused


# How the engine runs is of no legal entity; the rest says what a view is.
FOR_ALL = {"within", "reach", "workers", "jobs"}
READS = sorted(name for name, _ in inspect.getmembers(Reads, inspect.isfunction) if not name.startswith("_"))


@pytest.mark.parametrize("name", sorted(set(READS) - FOR_ALL))
def test_no_read_answers_whoever_has_no_permission(reads: Reads, name: str) -> None:
    read = getattr(reads.within(NOBODY), name)
    with pytest.raises(Forbidden):
        read(**arguments(read))


def test_a_contract_is_told_without_its_exceptions_to_who_may_not_read_those(
    firm: dict[str, int], reads: Reads
) -> None:
    def told(actor: Actor) -> int:
        found = reads.within(actor).contract(firm["L-1"])
        assert found is not None
        return len(found.cases)

    assert told(program("p", ["contracts:read"])) == 0
    assert told(program("p", ["contracts:read", "exceptions:read"])) == 1


def test_an_empty_reach_reads_nothing(firm: dict[str, int], reads: Reads) -> None:
    nowhere = reads.within(program("p", ["contracts:read", "exceptions:read"], entities=frozenset()))
    assert nowhere.intake()["events"].sum() == 0
    assert nowhere.contracts().rows == ()
    assert nowhere.exceptions().rows == ()


def test_views_share_a_key_only_if_they_read_the_same(reads: Reads, database: sa.Engine) -> None:
    def key(*grants: str) -> str:
        return reads.within(person("x@example.com", grants)).key

    assert key("executive@GB01") == key("executive@GB01") == key("executive@GB01", "executive@GB01")
    assert key("executive@GB01+US01") == key("executive@US01", "executive@GB01")
    keys = [reads.key, key(), key("executive"), key("executive@GB01"), key("executive@US01"), key("auditor@GB01")]
    other = Reads(database, clock=reads._clock, estate=reads.estate)
    assert len({*keys, other.key, other.within(LONDON).key}) == len(keys) + 2
