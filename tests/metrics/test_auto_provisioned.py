"""Auto-provisioned: what counts as a touch, what an open contract counts as, and any mix against plain arithmetic."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask
from metrics.measures import Measures
from metrics.proportion import wilson
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.flow_rows import ESTATE, WINDOW, Made, asked, facts, made, said
from tests.reads.handmade import add_case, add_quarantined, insert

TUESDAY = datetime(2026, 11, 10, 10, tzinfo=UTC)
LONG_AGO = datetime(2026, 9, 1, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_causes = count(1)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def _case(engine: sa.Engine, contract: Made, what: str, at: datetime, error_class: str = "missing_data") -> None:
    case = add_case(engine, contract.contract_id, f"cause_{next(_causes)}", error_class=error_class)
    rows_of = [(what, "tieline")] + ([("acknowledged", "pat@example.com")] if what == "opened" else [])
    for row, actor in rows_of:
        insert(engine, "case_history", case_id=case, what=row, function="tax", actor=actor, occurred_at=at,
               recorded_at=at)  # fmt: skip


def _replay(engine: sa.Engine, contract: Made, at: datetime, selection: dict[str, object], error: str | None,
            **columns: object) -> None:  # fmt: skip
    replay = insert(
        engine, "replay", "replay_id", created_at=at, created_by="pat", title="", origin="current",
        selection=orjson.dumps(selection).decode(), entities=["GB01"], items=1, state="finished", per_minute=1,
    )  # fmt: skip
    item: dict[str, object] = {
        "replay_id": replay, "contract_id": contract.contract_id, "position": 1, "eligibility": "eligible",
        "preview": "done", "preview_due_at": at, "state": "verified", "dispatched_at": at,
        "was": orjson.dumps({"error_class": error}).decode(),
    }  # fmt: skip
    insert(engine, "replay_item", **(item | columns))  # type: ignore[arg-type]


def test_without_contracts_there_is_no_share(database: sa.Engine, clock: VirtualClock) -> None:
    answer = asked(database, clock, "auto-provisioned").answer
    assert (answer.value, answer.n, answer.figure("rate").value, answer.figure("bound_high").value) == (
        None, 0, None, None,
    )  # fmt: skip
    assert answer.why_none == "no contract was signed in the window"


def test_every_kind_of_touch_and_what_is_none(database: sa.Engine, clock: VirtualClock) -> None:
    contracts = [made(database, TUESDAY, TUESDAY + 4 * HOUR) for _ in range(8)]
    said(database, contracts[0], "corrected", TUESDAY + HOUR, revision=2, overrides=1, changes={})
    _case(database, contracts[1], "opened", TUESDAY + HOUR)
    _case(database, contracts[1], "decided", TUESDAY + 2 * HOUR)
    _replay(database, contracts[2], TUESDAY + HOUR, {"contracts": 1}, "missing_data")
    _replay(database, contracts[3], TUESDAY + HOUR, {"missed": {"lane": "cloud"}}, None)
    _replay(database, contracts[4], TUESDAY + HOUR, {"contracts": 1}, "ambiguous")
    # None of these: an approval that policy asks for, a comment, and a replay after the read-back.
    _case(database, contracts[5], "opened", TUESDAY + HOUR, error_class="policy_denied")
    _case(database, contracts[6], "commented", TUESDAY + HOUR)
    _replay(database, contracts[7], TUESDAY + 5 * HOUR, {"contracts": 1}, None)
    answer = asked(database, clock, "auto-provisioned").answer
    assert (answer.value, answer.figure("auto").value) == (3 / 8, 3)
    touched = {figure.key: figure.value for figure in answer.figures if figure.key.startswith("touched:")}
    assert touched == {
        "touched:correction": 1, "touched:decision": 1, "touched:exception": 1, "touched:release": 0,
        "touched:replay": 1, "touched:replay_outage": 2,
    }  # fmt: skip
    shown = Measures(database, clock=clock, estate=ESTATE).drill("auto-provisioned", Ask(WINDOW))
    assert (shown.count, shown.total) == (8, 3)


def test_a_release_from_quarantine_is_a_touch_where_a_person_asked_for_it(
    database: sa.Engine, clock: VirtualClock
) -> None:
    by_hand, by_worker, later = (made(database, TUESDAY, TUESDAY + 4 * HOUR) for _ in range(3))
    for contract, hours, by in ((by_hand, 1, "pat@example.com"), (by_worker, 1, None), (later, 5, "pat@example.com")):
        add_quarantined(database, contract.external_id, hours=400)
        with database.begin() as conn:
            conn.execute(
                sa.text("""UPDATE core.quarantine SET released_at = :at, released_by = :by,
                           ended_xid = pg_current_xact_id() WHERE external_id = :name"""),
                {"at": TUESDAY + hours * HOUR, "by": by, "name": contract.external_id},
            )
    answer = asked(database, clock, "auto-provisioned").answer
    assert (answer.value, answer.figure("touched:release").value) == (2 / 3, 1)
    assert {row["contract_id"]: row["touches"] for row in facts(database, "contract")} == {
        by_hand.contract_id: ["release"], by_worker.contract_id: [], later.contract_id: [],
    }  # fmt: skip


def test_an_exception_that_ended_by_itself_is_no_touch(database: sa.Engine, clock: VirtualClock) -> None:
    stories = {
        (("opened", 1, "tieline"), ("resolved", 2, "tieline")): False,
        (("opened", 1, "tieline"), ("resolved", 2, "tieline"), ("commented", 3, "pat")): False,
        (("opened", 1, "tieline"), ("acknowledged", 2, "pat"), ("resolved", 3, "tieline")): True,
        (("opened", 1, "tieline"), ("resolved", 2, "tieline"), ("reopened", 3, "tieline"), ("corrected", 3, "pat"),
         ("resolved", 3, "tieline")): True,
        (("opened", 1, "tieline"), ("acknowledged", 1, "pat"), ("resolved", 2, "tieline"), ("reopened", 3, "tieline"),
         ("resolved", 3, "tieline")): True,
        (("opened", 1, "tieline"),): False,
    }  # fmt: skip
    for story in stories:
        contract = made(database, TUESDAY, TUESDAY + 4 * HOUR)
        case = add_case(database, contract.contract_id, "amendment_missing", error_class="sequence_gap")
        for what, hours, actor in story:
            at = TUESDAY + hours * HOUR
            insert(database, "case_history", case_id=case, what=what, function="tax", actor=actor, occurred_at=at,
                   recorded_at=at)  # fmt: skip
    asked(database, clock, "auto-provisioned")
    touched = [row["touches"] == ["exception"] for row in facts(database, "contract")]
    assert touched == list(stories.values())


@pytest.mark.parametrize(
    ("columns", "counts"),
    [
        ({"state": "cancelled"}, False),
        ({"state": "failed"}, False),
        ({"state": "pending"}, False),
        ({"state": "skipped", "skip": "changed", "run_id": "00000000-0000-0000-0000-000000000001"}, False),
        ({"state": "cancelled", "sent": True}, True),
        ({"state": "failed", "run_id": "00000000-0000-0000-0000-000000000001"}, True),
        ({"state": "mismatch"}, True),
    ],
)
def test_a_replay_that_was_never_carried_out_is_no_touch(
    database: sa.Engine, clock: VirtualClock, columns: dict[str, object], counts: bool
) -> None:
    contract = made(database, TUESDAY, TUESDAY + 4 * HOUR)
    _replay(database, contract, TUESDAY + HOUR, {"contracts": 1}, None, **columns)
    assert asked(database, clock, "auto-provisioned").answer.figure("touched:replay").value == int(counts)


def test_the_rows_come_newest_signature_first_whatever_their_currency(database: sa.Engine, clock: VirtualClock) -> None:
    young = made(database, TUESDAY + DAY, value=Decimal(10), currency="GBP")
    old = made(database, TUESDAY, value=Decimal(9_000), currency="INR")
    middle = made(database, TUESDAY + HOUR, value=Decimal(20), currency="USD")
    asked(database, clock, "auto-provisioned")
    measures = Measures(database, clock=clock, estate=ESTATE)
    first = measures.drill("auto-provisioned", Ask(WINDOW), limit=2)
    rest = measures.drill("auto-provisioned", Ask(WINDOW), after=first.after, limit=2)
    found = [row["contract_id"] for row in (*first.rows, *rest.rows)]
    assert found == [young.contract_id, middle.contract_id, old.contract_id]


def test_what_is_open_is_not_automatic_yet_and_the_bounds_say_how_far_it_may_move(
    database: sa.Engine, clock: VirtualClock
) -> None:
    for _ in range(3):
        made(database, TUESDAY, TUESDAY + HOUR)
    for _ in range(5):
        made(database, TUESDAY)
    held = made(database, TUESDAY)
    _case(database, held, "opened", TUESDAY + HOUR)
    add_quarantined(database, "Q-1", hours=30)
    made(database, TUESDAY, state="ended")
    made(database, TUESDAY, TUESDAY + HOUR, test=True)
    made(database, TUESDAY, TUESDAY - HOUR)
    answer = asked(database, clock, "auto-provisioned").answer
    assert (answer.value, answer.n, answer.n_open) == (0.3, 10, 7)
    assert answer.figure("rate").value == 1.0  # which would look good
    assert (answer.figure("bound_low").value, answer.figure("bound_high").value) == (0.3, 1.0)
    assert (answer.figure("rate_low").value, answer.figure("rate_high").value) == wilson(3, 3)
    assert (answer.figure("pending_touched").value, answer.figure("quarantined").value) == (1, 1)
    assert answer.excluded == {
        "cancelled before it was active": 1, "active before the signature": 1, "test contract": 1,
    }  # fmt: skip


def test_a_later_correction_is_first_pass_but_not_clean(database: sa.Engine, clock: VirtualClock) -> None:
    clean, corrected, late = (made(database, LONG_AGO, LONG_AGO + HOUR) for _ in range(3))
    made(database, TUESDAY, TUESDAY + HOUR)  # too young to say
    said(database, corrected, "corrected", LONG_AGO + 29 * DAY, revision=2, overrides=1, changes={})
    said(database, late, "corrected", LONG_AGO + 31 * DAY, revision=2, overrides=1, changes={})
    answer = asked(database, clock, "auto-provisioned").answer
    assert (answer.value, answer.figure("auto").value) == (1.0, 4)
    assert (answer.figure("clean_30").value, answer.figure("clean_30_n").value) == (2 / 3, 3)
    assert answer.figure("corrected").value == 1
    found = {row["contract_id"]: row["corrected_at"] for row in facts(database, "contract")}
    assert [found[one.contract_id] for one in (clean, corrected, late)] == [
        None, LONG_AGO + 29 * DAY, LONG_AGO + 31 * DAY,
    ]  # fmt: skip


def _plain_counts(engine: sa.Engine) -> tuple[int, int, int]:
    """Automatic, confirmed and signed contracts, from the raw rows, one by one."""
    with engine.connect() as conn:
        contracts = conn.execute(sa.text("SELECT contract_id, external_id, first_active_at FROM core.contract")).all()
        touches = conn.execute(
            sa.text("""
            SELECT external_id, CAST(NULL AS bigint) AS contract_id, recorded_at AS at FROM core.event
            WHERE type LIKE '%.corrected.v1'
            UNION ALL SELECT NULL, k.contract_id, h.occurred_at FROM core.case AS k JOIN core.case_history AS h
            USING (case_id) WHERE h.what = 'opened' AND k.error_class <> 'policy_denied'
            UNION ALL SELECT NULL, contract_id, dispatched_at FROM core.replay_item""")
        ).all()
    active = [one for one in contracts if one.first_active_at is not None]
    clean = [
        one for one in active
        if not any(touch.at <= one.first_active_at for touch in touches
                   if one.external_id == touch.external_id or one.contract_id == touch.contract_id)
    ]  # fmt: skip
    return len(clean), len(active), len(contracts)


_LIVES = st.tuples(st.booleans(), st.lists(st.tuples(st.sampled_from(["case", "correction", "replay", "approval"]),
                                                     st.integers(-20, 20)), max_size=3))  # fmt: skip


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(_LIVES, min_size=1, max_size=10))
def test_any_lives_give_what_plain_counting_gives(
    database: sa.Engine, clock: VirtualClock, lives: list[tuple[bool, list[tuple[str, int]]]]
) -> None:
    expected: set[int] = set()
    for active, touches in lives:
        end = TUESDAY + 30 * HOUR
        contract = made(database, TUESDAY, end if active else None)
        said(database, contract, "approved", TUESDAY, revision=1, approval="approved")  # news, so it is measured
        for kind, hours in touches:
            at = end + hours * HOUR
            if kind == "correction":
                said(database, contract, "corrected", at, revision=2, overrides=1, changes={})
            elif kind == "replay":
                _replay(database, contract, at, {"contracts": 1}, None)
            else:
                _case(database, contract, "opened", at, "policy_denied" if kind == "approval" else "missing_data")
        if active and not any(kind != "approval" and hours <= 0 for kind, hours in touches):
            expected.add(contract.contract_id)
    answer = asked(database, clock, "auto-provisioned").answer
    automatic, confirmed, signed = _plain_counts(database)
    assert (answer.value, answer.n, answer.figure("auto").value) == (automatic / signed, signed, automatic)
    assert answer.figure("rate").value == (automatic / confirmed if confirmed else None)
    assert answer.figure("bound_high").value == (automatic + signed - confirmed) / signed
    with database.connect() as conn:
        newest = conn.scalar(sa.text("SELECT max(contract_id) FROM core.contract")) or 0
    mine = {row["contract_id"] for row in facts(database, "contract") if row["contract_id"] > newest - len(lives)
            and row["outcome"] == "provisioned" and not row["touches"]}  # fmt: skip
    assert mine == expected
