"""The pure verifier: every single edit of a chain is found and named, whether or not its hash was recomputed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.audit.audit import Row
from sync_core.audit.checkpoint import Checkpoint
from sync_core.audit.verify import Finding, Flaw, Head, verify
from tests.core.audit_chains import START, chain, head, relinked, row, sealed

LENGTH = 8
CHAIN = chain(LENGTH)
HEAD = head(CHAIN)

EDITS: dict[str, Callable[[Row], Row]] = {
    "occurred_at": lambda one: one._replace(occurred_at=one.occurred_at + timedelta(microseconds=1)),
    "contract_id": lambda one: one._replace(contract_id=None),
    "legal_entity": lambda one: one._replace(legal_entity=""),
    "items": lambda one: one._replace(items=one.items + 1),
    "items_root": lambda one: one._replace(items_root=b""),
    "previous": lambda one: one._replace(previous=bytes(31) + b"\x01"),
    "hash": lambda one: one._replace(hash=bytes(31) + b"\x01"),
} | {
    name: lambda one, name=name: one._replace(**{name: getattr(one, name) + "x"})
    for name in ("actor", "actor_kind", "roles", "action", "subject", "reason", "correlation_id", "detail")
}


def checkpoint(one: Row) -> Checkpoint:
    return Checkpoint(one.id, one.hash.hex(), START, one.id, "k", "not looked at here")


def found(rows: list[Row], at: Head | None = HEAD, *checkpoints: Checkpoint) -> Finding:
    finding = verify(rows, at, checkpoints).finding
    assert finding is not None
    return finding


def test_a_chain_of_any_length_is_whole() -> None:
    for length in range(5):
        rows = chain(length)
        verdict = verify(rows, head(rows), [checkpoint(one) for one in rows])
        assert (verdict.whole, verdict.rows, verdict.last, verdict.checkpoints) == (True, length, length, length)


@pytest.mark.parametrize("column", EDITS)
@given(at=st.integers(0, LENGTH - 1))
@settings(max_examples=LENGTH * 3, deadline=None)
def test_a_changed_column_is_named(column: str, at: int) -> None:
    rows = list(CHAIN)
    rows[at] = EDITS[column](rows[at])
    finding = found(rows)
    assert (finding.flaw, finding.row_id) == (Flaw.CHANGED, at + 1)


@given(at=st.integers(0, LENGTH - 2), column=st.sampled_from(sorted(set(EDITS) - {"previous", "hash"})))
@settings(deadline=None)
def test_a_change_whose_hash_was_recomputed_is_named_by_the_row_after_it(at: int, column: str) -> None:
    rows = list(CHAIN)
    rows[at] = sealed(EDITS[column](rows[at]))
    finding = found(rows)
    assert (finding.flaw, finding.row_id) == (Flaw.CHANGED, at + 1)


def test_the_last_row_with_its_hash_recomputed_disagrees_with_the_head() -> None:
    rows = [*CHAIN[:-1], sealed(CHAIN[-1]._replace(reason="another"))]
    assert (found(rows).flaw, found(rows).row_id) == (Flaw.HEAD, LENGTH)


@given(at=st.integers(0, LENGTH - 1), saw=st.integers(0, LENGTH - 1), confirmed=st.integers(0, LENGTH - 1))
@settings(deadline=None)
def test_a_rewritten_chain_shows_only_at_a_checkpoint(at: int, saw: int, confirmed: int) -> None:
    changed = [*CHAIN[:at], sealed(CHAIN[at]._replace(reason="another")), *CHAIN[at + 1 :]]
    rows = relinked(changed, at + 1)
    assert verify(rows, head(rows)).whole
    verdict = verify(rows, head(rows), [checkpoint(CHAIN[saw]), checkpoint(CHAIN[confirmed])])
    assert verdict.whole is (saw < at and confirmed < at)
    if verdict.finding is not None:
        assert verdict.finding.flaw is Flaw.REWRITTEN
        assert verdict.finding.row_id == min(one + 1 for one in (saw, confirmed) if one >= at)


@given(at=st.integers(0, LENGTH - 1))
@settings(deadline=None)
def test_a_missing_row_is_named(at: int) -> None:
    finding = found([one for one in CHAIN if one.id != at + 1])
    last = at == LENGTH - 1
    assert (finding.flaw, finding.row_id) == ((Flaw.CUT_OFF, at) if last else (Flaw.MISSING, at + 1))


@given(at=st.integers(0, LENGTH - 2), more=st.integers(1, 3))
@settings(deadline=None)
def test_rows_missing_with_those_after_them_numbered_anew_are_named(at: int, more: int) -> None:
    rows = [*CHAIN[:at], *(one._replace(id=one.id - more) for one in CHAIN[at + more :])]
    finding = found(rows)
    left = LENGTH - at - more
    wanted = Flaw.CUT_OFF if left <= 0 else Flaw.MOVED if left == 1 else Flaw.MISSING
    assert (finding.flaw, finding.row_id) == (wanted, at if left <= 0 else at + 1)


@given(one=st.integers(0, LENGTH - 1), other=st.integers(0, LENGTH - 1))
@settings(deadline=None)
def test_two_rows_that_changed_places_are_named(one: int, other: int) -> None:
    first, second = sorted((one, other))
    if first == second:
        return
    rows = list(CHAIN)
    rows[first] = CHAIN[second]._replace(id=first + 1)
    rows[second] = CHAIN[first]._replace(id=second + 1)
    finding = found(rows)
    assert (finding.flaw, finding.row_id) == (Flaw.MOVED, first + 1)
    assert f"it is row {second + 1}" in finding.message


@given(at=st.integers(1, LENGTH - 1), fits=st.booleans())
@settings(deadline=None)
def test_an_added_row_is_named_though_its_hash_fits(at: int, fits: bool) -> None:
    added = row(at + 1, CHAIN[at - 1].hash, actor="eve@example.com")
    added = added if fits else added._replace(hash=bytes(32))
    rows = [*CHAIN[:at], added, *(one._replace(id=one.id + 1) for one in CHAIN[at:])]
    finding = found(rows)
    assert (finding.flaw, finding.row_id) == (Flaw.ADDED, at + 1)


def test_rows_before_the_first_and_behind_the_head_were_added() -> None:
    assert (found([row(0, bytes(32)), *CHAIN]).flaw, found([row(0, bytes(32)), *CHAIN]).row_id) == (Flaw.ADDED, 0)
    behind = [*CHAIN, row(LENGTH + 1, CHAIN[-1].hash)]
    assert (found(behind).flaw, found(behind).row_id) == (Flaw.ADDED, LENGTH + 1)


@given(kept=st.integers(0, LENGTH - 1))
@settings(deadline=None)
def test_a_tail_that_was_cut_off_with_the_head_set_back_shows_at_a_checkpoint(kept: int) -> None:
    rows = CHAIN[:kept]
    assert verify(rows, head(rows)).whole
    finding = found(rows, head(rows), checkpoint(CHAIN[-1]))
    assert (finding.flaw, finding.row_id) == (Flaw.CUT_OFF, kept)
    assert f"after row {kept}: a signed checkpoint saw row {LENGTH}" in finding.message


def test_a_head_that_was_changed_alone_is_told_apart_where_a_checkpoint_vouches_for_the_last_row() -> None:
    other = Head(LENGTH, bytes(32))
    assert (found(list(CHAIN), other).flaw, found(list(CHAIN), other).row_id) == (Flaw.HEAD, LENGTH)
    sure = checkpoint(CHAIN[-1])
    assert found(list(CHAIN), other, sure).row_id is None
    assert found(list(CHAIN), Head(2, CHAIN[1].hash), sure).flaw is Flaw.HEAD
    assert found(list(CHAIN), None).flaw is Flaw.HEAD


@given(
    rows=st.lists(st.sampled_from(CHAIN), max_size=LENGTH + 2),
    renumber=st.booleans(),
    edits=st.lists(st.tuples(st.integers(0, LENGTH + 1), st.sampled_from(sorted(EDITS)), st.booleans()), max_size=3),
)
@settings(max_examples=400, deadline=None)
def test_no_mixture_of_edits_is_taken_for_whole(
    rows: list[Row], renumber: bool, edits: list[tuple[int, str, bool]]
) -> None:
    made = list(rows)
    for at, column, recomputed in edits:
        if at < len(made):
            made[at] = sealed(EDITS[column](made[at])) if recomputed else EDITS[column](made[at])
    numbered = [one._replace(id=number) for number, one in enumerate(made, 1)] if renumber else made
    in_order = sorted(numbered, key=lambda one: one.id)
    assert verify(in_order, HEAD, [checkpoint(CHAIN[-1])]).whole is (in_order == CHAIN)
