"""Schemathesis: requests made from the published document, good and bad, get no 5xx and no answer beyond it."""

import warnings
from typing import Any

import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.door import EVERY_SCOPE, Door

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize("examples", [4, pytest.param(60, marks=pytest.mark.long)])
@pytest.mark.timeout(1800)
def test_no_request_gets_an_answer_that_is_not_published(
    door: Door, firm: dict[str, int], database: sa.Engine, examples: int
) -> None:
    token = door.token(*EVERY_SCOPE)
    headers = {"authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", door.app)
    called = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        for mode in GenerationMode:

            @settings(
                max_examples=examples, deadline=None, database=None, derandomize=True,
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def call(case: schemathesis.Case[Any]) -> None:
                nonlocal called
                called += 1
                case.validate_response(case.call(headers=headers), checks=CHECKS)

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of its own and of the test client that it drives
                call()
    assert called > 2 * examples
