"""A validation finds what a run would find, by property; and where it cannot know, it says that it does not."""

from dataclasses import replace
from decimal import Decimal

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.engine.look import intend_of, judged, scope_of
from sync_core.estate.approval_rules import ApprovalRule
from sync_core.events import Signed, understand
from sync_core.findings import Finding
from sync_core.keys import ExternalId
from sync_core.references.references import Known, answers_of, month_of
from sync_core.references.validation import Draft, Intended, Validation, intended, validated
from tests.sows import SIGNED_AT, SOURCE, estate, signed
from tests.watch.worlds import World, terms, worlds

ESTATE = replace(estate(), approval=(ApprovalRule("Large contracts", Decimal(100_000)),))
NOW = SIGNED_AT


def draft_of(stated: dict[str, object]) -> Draft:
    payload = understand("com.tieline.contract.signed.v1", orjson.dumps(signed("C-1", stated)))
    assert isinstance(payload, Signed)
    return Draft(SOURCE, ExternalId("C-1"), payload.terms)


def real(draft: Draft, world: World) -> tuple[Finding, ...]:
    """The pre-checks of a run with a fresh read."""
    intent = intend_of(draft.signed(NOW), None, ESTATE, {}, now=NOW)
    if intent.stops or intent.desired is None:
        return intent.stops
    scope = scope_of(intent.contract, intent.desired, ESTATE)
    return judged(scope, intent.desired, world.observe(scope), ESTATE, world.capabilities, known={}).findings


def learnt(asked: Intended, world: World) -> dict[object, Known]:
    """What a run of this contract leaves behind for others."""
    if asked.scope is None:
        return {}
    answers = answers_of(asked.lane, asked.scope, world.observe(asked.scope), world.capabilities, month_of(NOW))
    return {question: Known(answer, NOW) for question, answer in answers.items()}


def validation(stated: dict[str, object], world: World, lose: int = 0) -> tuple[Validation, tuple[Finding, ...]]:
    draft = draft_of(stated)
    asked = intended(draft, ESTATE, now=NOW)
    known = learnt(asked, world)
    for question in sorted(known, key=str)[: lose % (len(known) + 1)]:
        del known[question]
    return validated(asked, known, ESTATE, now=NOW), real(draft, world)  # type: ignore[arg-type]


@given(terms(), worlds)
@settings(max_examples=400, deadline=None)
def test_it_finds_what_a_run_finds(stated: dict[str, object], world: World) -> None:
    found, fresh = validation(stated, world)
    assert found.findings == fresh
    assert found.unverified == ()
    assert found.would_provision == (not fresh)


@given(terms(), worlds, st.integers(0, 20))
@settings(max_examples=400, deadline=None)
def test_what_is_not_known_is_neither_right_nor_wrong(stated: dict[str, object], world: World, lose: int) -> None:
    found, fresh = validation(stated, world, lose)
    told, causes = {finding.cause for finding in found.findings}, {finding.cause for finding in fresh}
    maybe = {cause for one in found.unverified for cause in one.causes}
    assert told - causes <= maybe, "nothing is found that a run would not find, unless it may hang on what is not known"
    assert causes - told <= maybe, "and nothing is passed over"
    if found.would_provision:
        assert fresh == ()


@given(terms(), worlds)
@settings(max_examples=100, deadline=None)
def test_an_erp_that_nobody_has_looked_at_is_never_taken_for_fine(stated: dict[str, object], world: World) -> None:
    draft = draft_of(stated)
    found = validated(intended(draft, ESTATE, now=NOW), {}, ESTATE, now=NOW)
    assert not found.would_provision
    assert found.references_as_of == ()
    assert found.unverified or found.findings
