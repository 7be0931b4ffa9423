"""A policy is tested when it is proposed; a second person is asked where it changes much; runs then follow it."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import Forbidden, person
from sync_core.commands.desk import Changed, CommandRefused, InvalidInput, NotFound
from sync_core.commands.policies import Policies
from sync_core.errors import InvalidEstate
from sync_core.estate.estate import load
from sync_core.events import DECIDED, Decided, Event
from sync_core.intake.contract_events import events_of
from sync_core.policy import in_force
from sync_core.policy.activation import Activation, check, why_second
from sync_core.policy.activations import note, wake
from sync_core.policy.compare import Effect, Known, back_test
from tests.commands.people import ADMINISTRATOR, APPROVER, BRITISH_APPROVER, audited, commands
from tests.engine.support import Bench
from tests.folds import fold
from tests.policy.texts import TWO_ERPS, plain
from tests.sows import SIGNED_AT, SOURCE, cloud_event, milestone_terms, signed

TAX_TO_BOOKS = '[[route]]\nname = "Tax work"\nservice_line = "tax"\nerp = "books"\n'
ALL_TO_BOOKS = '[[route]]\nname = "Everything"\nerp = "books"\n'
OTHER_ADMIN = person("other-admin@example.com", ["administrator"])
_ESTATE = sa.text("INSERT INTO core.estate_version (digest, body, activated_at) VALUES ('e', :body, :now)")


@pytest.fixture
async def bench(async_database: AsyncEngine) -> Bench:
    """Twelve contracts that are not provisioned yet, one of them tax work; the plain estate is in force."""
    made = Bench(async_database, estate=plain())
    for n in range(12):
        terms = milestone_terms() | {"service_line": "tax" if n == 0 else "strategy"}
        await made.arrive(cloud_event(f"e{n}", "signed.v1", signed(f"C-{n}", terms=terms)))
    async with async_database.begin() as conn:
        await conn.execute(_ESTATE, {"body": TWO_ERPS, "now": SIGNED_AT})
        await note(conn, plain().rules_version, "", estate="e", now=SIGNED_AT)
    return made


@pytest.fixture
def desk(bench: Bench, database: sa.Engine) -> Policies:
    return commands(database, clock=bench.clock, estate=bench.estate).policies


def versions(engine: sa.Engine) -> list[str]:
    with engine.connect() as conn:
        return list(conn.scalars(sa.text("SELECT version FROM core.policy ORDER BY policy_id")))


def test_one_that_changes_little_comes_into_force_at_once(desk: Policies, database: sa.Engine) -> None:
    made = desk.propose(ADMINISTRATOR, TAX_TO_BOOKS, "tax is billed from the books")
    assert (made.state, made.second_person, made.tested, made.changed) == ("activated", "", 12, 1)
    assert made.effects == {"route": 1}
    assert made.version == load(TWO_ERPS, TAX_TO_BOOKS).rules_version
    assert versions(database) == [plain().rules_version, made.version]
    told = [(row["action"], row["actor"], row["reason"]) for row in audited(database)[1:]]
    assert told == [("policy.propose", "admin@example.com", "tax is billed from the books"),
                    ("policy.activate", "admin@example.com", "tax is billed from the books")]  # fmt: skip
    with database.connect() as conn:
        found = in_force.latest(conn)
    assert found is not None
    assert found.body == TAX_TO_BOOKS


def test_one_that_changes_much_waits_for_another_person(desk: Policies, database: sa.Engine) -> None:
    made = desk.propose(ADMINISTRATOR, ALL_TO_BOOKS, "the cloud is given up")
    assert (made.state, made.changed) == ("proposed", 12)
    assert made.second_person == "12 contracts would be decided on differently, 10 or more"
    assert versions(database) == [plain().rules_version]
    both = person(ADMINISTRATOR.name, ["administrator", "approver"])
    with pytest.raises(Forbidden, match="you proposed this policy yourself"):
        desk.approve(both, made.proposal_id, "mine")
    with pytest.raises(Forbidden, match="without a limit to legal entities"):
        desk.approve(BRITISH_APPROVER, made.proposal_id, "ours")
    with pytest.raises(Forbidden, match="policy:approve"):
        desk.approve(OTHER_ADMIN, made.proposal_id, "yes")
    with pytest.raises(Changed, match="read it again"):
        desk.approve(APPROVER, made.proposal_id, "yes", version=7)
    done = desk.approve(APPROVER, made.proposal_id, "agreed in the board", version=1)
    assert (done.state, versions(database)[-1]) == ("activated", made.version)
    last = audited(database)[-1]
    assert (last["action"], last["actor"], last["reason"]) == (
        "policy.activate", "approver@example.com", "agreed in the board",
    )  # fmt: skip
    with pytest.raises(CommandRefused, match=r"was activated by approver@example\.com"):
        desk.refuse(APPROVER, made.proposal_id, "after all not")


async def test_what_was_tested_against_another_policy_is_not_approved(
    desk: Policies, bench: Bench, database: sa.Engine
) -> None:
    made = desk.propose(ADMINISTRATOR, ALL_TO_BOOKS, "the cloud is given up")
    async with bench.engine.begin() as conn:
        await note(conn, "of a file", "", estate="e", now=SIGNED_AT)
    with pytest.raises(Changed, match="of a file came into force"):
        desk.approve(APPROVER, made.proposal_id, "yes")
    assert desk.refuse(APPROVER, made.proposal_id, "stale").state == "refused"
    assert versions(database)[-1] == "of a file"


def test_only_one_waits_and_its_author_may_take_it_back(desk: Policies) -> None:
    made = desk.propose(ADMINISTRATOR, ALL_TO_BOOKS, "the cloud is given up")
    with pytest.raises(CommandRefused, match=r"proposal \d+ of admin@example\.com waits"):
        desk.propose(OTHER_ADMIN, TAX_TO_BOOKS, "tax first")
    with pytest.raises(Forbidden, match=r"admin@example\.com proposed it and may withdraw it"):
        desk.withdraw(OTHER_ADMIN, made.proposal_id, "not now")
    assert desk.withdraw(ADMINISTRATOR, made.proposal_id, "not now").state == "refused"
    assert desk.propose(OTHER_ADMIN, TAX_TO_BOOKS, "tax first").state == "activated"
    with pytest.raises(NotFound):
        desk.approve(APPROVER, 99, "what?")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("[[route]", "no valid TOML"),
        ('[[route]]\nname = "x"\nerp = "nowhere"\n', "nowhere"),
        ("   ", "give the text"),
        ("#" * 200_001, "at most 200,000"),
    ],
)
def test_what_is_no_policy_of_this_estate_is_refused_with_what_to_mend(desk: Policies, body: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        desk.propose(ADMINISTRATOR, body, "a try")


def test_the_one_in_force_need_not_be_proposed(desk: Policies) -> None:
    with pytest.raises(CommandRefused, match="says the same and is in force"):
        desk.propose(ADMINISTRATOR, "# nothing\n", "a try")


async def test_the_first_worker_under_it_wakes_what_is_decided_on_differently(
    desk: Policies, bench: Bench, database: sa.Engine
) -> None:
    await (await bench.worker()).drain()
    made = desk.propose(ADMINISTRATOR, TAX_TO_BOOKS, "tax is billed from the books")
    async with bench.engine.begin() as conn:
        assert await wake(conn, "another", now=bench.clock.now()) == 0
        woken = await wake(conn, made.version, now=bench.clock.now())
        assert await wake(conn, made.version, now=bench.clock.now()) == 0
    assert woken == 1
    due = await bench.rows("SELECT external_id FROM core.contract WHERE wanted_rev > done_rev")
    assert due == [("C-0",)]
    bench.estate = load(TWO_ERPS, TAX_TO_BOOKS)
    bench.virtual.advance(timedelta(seconds=10))
    await (await bench.worker()).drain()
    assert (await bench.states())["C-0"] == "blocked"
    causes = await bench.rows("SELECT cause FROM core.case WHERE state = 'open'")
    assert causes == [("project_elsewhere",)]
    assert await bench.rows("SELECT DISTINCT policy FROM core.run WHERE outcome = 'blocked'") == [(made.version,)]


@pytest.mark.parametrize(
    "body",
    [
        '[[approval]]\nname = "None"\nfrom_amount = 999999999\nlegal_entity = "US01"\n',
        '[[clause]]\nname = "Liability"\nclauses = ["liability"]\nservice_line = "none"\n',
        '[[mandatory]]\nname = "Ends"\nfields = ["ends_on"]\nservice_line = "none"\n',
        '[[tax]]\nname = "Nothing"\ntax_code = "ZERO"\nservice_line = "none"\n',
    ],
)
def test_what_guards_contracts_is_never_one_person_s_to_change(desk: Policies, body: str) -> None:
    """No contract of the quarter need be concerned: the next one may be."""
    made = desk.propose(ADMINISTRATOR, body, "it is easier")
    assert (made.state, made.changed) == ("proposed", 0)
    assert "is decided otherwise" in made.second_person


def test_an_approval_that_was_given_counts_as_one_that_is_asked_for(desk: Policies, database: sa.Engine) -> None:
    before = load(TWO_ERPS, '[[approval]]\nname = "Everything"\nfrom_amount = 0\n')
    with database.connect() as conn:
        events = events_of(conn, SOURCE, "C-1")
    decided = Decided(contract_id="C-1", revision=1, subject="provisioning", rule="Everything", decision="approved",
                      amount=Decimal("25000"), currency="USD", by="a", reason="fine")  # fmt: skip
    contract = fold([*events, Event(SOURCE, "own:1", DECIDED, SIGNED_AT, decided)])
    known = Known(1, contract)
    [found] = back_test([known], before, plain(), now=SIGNED_AT)
    assert [(one.effect, one.before, one.after) for one in found.changes] == [(Effect.APPROVAL, "Everything", "")]


def test_a_look_ahead_says_the_same_and_leaves_nothing_but_its_audit(desk: Policies, database: sa.Engine) -> None:
    ahead = desk.look_ahead(ADMINISTRATOR, ALL_TO_BOOKS)
    assert (len(ahead.changed), ahead.tested, dict(ahead.effects)) == (12, 12, {"route": 12})
    assert audited(database)[-1]["action"] == "policy.test"
    made = desk.propose(ADMINISTRATOR, ALL_TO_BOOKS, "the cloud is given up")
    assert (made.version, made.second_person) == (ahead.version, ahead.second_person)


def test_from_where_on_a_second_person_is_asked() -> None:
    rules = Activation(second_person_from_count=3, second_person_from_money=Decimal(1_000))

    def asked(changed: int, money: int | None, unreadable: int = 0) -> str:
        amount = None if money is None else Decimal(money)
        return why_second(rules, changed=changed, money=amount, unreadable=unreadable, currency="USD")

    assert asked(0, 0) == ""
    assert asked(2, 999) == ""
    assert "3 contracts" in asked(3, 0)
    assert "over 1,000 USD" in asked(1, 1_000)
    assert "no exchange rate" in asked(1, None)
    assert "nothing can be said" in asked(0, 0, 1)
    with pytest.raises(InvalidEstate, match="at least 1"):
        check(Activation(second_person_from_count=0))
