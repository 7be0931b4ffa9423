"""The published document: scopes, problems, required headers, examples that are true; and a table of every error."""

from typing import Any

import jsonschema

from app.api.snapshots import BINARY, MEDIA_TYPES
from app.published import errors_table
from app.published.errors_table import DOCUMENT, written
from app.published.permissions_table import everything, routes
from sync_core.authority import Permission
from tests.api.door import Door


async def test_the_document_is_served_without_a_token(door: Door) -> None:
    async with door.bearing(None) as anyone:
        served = (await anyone.get("/openapi.json")).json()
    assert served == door.published.document
    assert served["openapi"].startswith("3.1")


def operations(door: Door) -> list[tuple[str, str, dict[str, Any]]]:
    found = door.published.document["paths"].items()
    return [(path, method.upper(), one) for path, item in found for method, one in item.items()]


def test_every_operation_names_its_scope_and_its_problems(door: Door) -> None:
    needs = {thing.name: thing.needs for thing in routes(door.app)}
    described = door.published.document["components"]["securitySchemes"]["clientCredentials"]
    scopes = described["flows"]["clientCredentials"]["scopes"]
    assert scopes.keys() == set(Permission)
    for path, method, one in operations(door):
        scope = needs[f"{method} {path}"]
        assert one["security"] == [{"clientCredentials": [scope]}, {"issuer": [scope]}], path
        assert one["responses"].keys() >= {"401", "403", "422", "429", "500", "503"}, path
        for status, response in one["responses"].items():
            expected = {"application/problem+json"} if status >= "400" else {"application/json"}
            if "/files/" in path and status == "200":
                expected = {*MEDIA_TYPES.values(), BINARY}
            assert response.get("content", {}).keys() == (set() if status == "304" else expected), (path, status)
        headers = {p["name"]: p["required"] for p in one.get("parameters", ()) if p["in"] == "header"}
        assert ("428" in one["responses"]) == headers.get("if-match", False), path
        reads = "preview" in path or path == "/v1/validations"
        assert ("idempotency-key" in headers) == (method == "POST" and not reads), path
        assert bool(one.get("summary")), path


def test_examples_are_of_their_schemas(door: Door) -> None:
    found = 0
    components = door.published.document["components"]
    for schema in nested(door.published.document):
        for example in schema.get("examples", ()) if isinstance(schema.get("examples"), list) else ():
            jsonschema.Draft202012Validator({**schema, "components": components}).validate(example)
            found += 1
    assert found > 10


def nested(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nested(inner)


def test_the_table_of_errors_is_made_from_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert errors_table.BEGIN in text
    assert errors_table.END in text
    assert written(text) == text, "run `make docs`"


def test_the_product_serves_the_api(door: Door) -> None:
    served = {thing.name for thing in everything()}
    assert served >= {thing.name for thing in routes(door.app)}
