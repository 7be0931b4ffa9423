"""Schemathesis: requests made from the published document, good and bad, get no 5xx and no answer beyond it."""

import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from schemathesis import APIOperation, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.door import EVERY_SCOPE, Door, replay
from tests.reads.handmade import insert
from tests.rows import NOW

NUMBERS = {
    "contract_id",
    "exception_id",
    "replay_id",
    "quarantine_id",
    "row_id",
    "secret_id",
    "snapshot_id",
    "registration_id",
    "proposal_id",
    "move_id",
}
MOVE = 2  # moves are replays of their own
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass
class Fuzz:
    """Requests of one token, and what became of them."""

    headers: dict[str, str]
    examples: int
    answered: Counter[int] = field(default_factory=Counter)
    done: set[str] = field(default_factory=set)  # operations that did what they are for

    def try_out(self, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> None:
        """`examples` requests, as the document foresees them or as it does not."""

        @settings(
            max_examples=self.examples, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def call(case: schemathesis.Case[Any]) -> None:
            if mode is GenerationMode.POSITIVE:  # about things that are there, so that more than a 404 is tried
                case.path_parameters |= {name: 1 for name in case.path_parameters if name in NUMBERS}
                case.path_parameters |= {name: MOVE for name in case.path_parameters if name == "move_id"}
                case.path_parameters |= {name: "cycle-time" for name in case.path_parameters if name == "slug"}
            response = case.call(headers=self.headers)
            self.answered[response.status_code] += 1
            if response.status_code < 300:
                self.done.add(operation.label)
            case.validate_response(response, checks=CHECKS)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own and of the test client that it drives
            call()


def moved(door: Door, contract_id: int, entity: str) -> int:
    """A previewed move of one contract; its id."""
    made = replay(door, contract_id, entity)
    with door.engine.begin() as conn:
        words = "UPDATE core.replay SET move_from = 'cloud', move_to = 'spare' WHERE replay_id = :id"
        conn.execute(sa.text(words), {"id": made})
    return made


def proposed(door: Door) -> None:
    """A policy that waits for a second person."""
    insert(
        door.engine, "policy_proposal", version="v", body="# none", before="u", reason="a try",
        proposed_by="a@example.com", proposed_at=NOW, tested_since=NOW, tested=2, unreadable=0,
        changed=[1], effects='{"route": 1}', money=500,
        second_person="it is much", state="proposed",
    )  # fmt: skip


@pytest.mark.parametrize("examples", [4, pytest.param(60, marks=pytest.mark.long)])
@pytest.mark.timeout(1800)
def test_no_request_gets_an_answer_that_is_not_published(door: Door, firm: dict[str, int], examples: int) -> None:
    replay(door, firm["L-1"], "GB01")
    assert moved(door, firm["N-1"], "US01") == MOVE
    proposed(door)
    fuzz = Fuzz({"authorization": f"Bearer {door.token(*EVERY_SCOPE)}"}, examples)
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", door.app)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        for mode in GenerationMode:
            fuzz.try_out(found.ok(), mode)
    assert fuzz.answered.total() > 100 * examples
    assert len(fuzz.done) > 25, (fuzz.answered, fuzz.done)
