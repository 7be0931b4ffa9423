"""Test only: the same signature as a later version says it."""

import json
from collections.abc import Mapping
from typing import Any


def as_v2(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data of signed.v1 as signed.v2, written by hand: the product only reads the other way."""
    terms = dict(data["terms"])
    currency = terms.pop("currency")

    def money(amount: object) -> dict[str, object]:
        return {"amount": amount, "currency": currency}

    terms["value"] = money(terms["value"])
    if terms["billing"].get("not_to_exceed") is not None:
        terms["billing"] = {**terms["billing"], "not_to_exceed": money(terms["billing"]["not_to_exceed"])}
    for part, field in (("lines", "amount"), ("milestones", "amount"), ("rates", "rate")):
        if part in terms:
            terms[part] = [{**one, field: money(one[field])} for one in terms[part]]
    return {**data, "terms": terms}


V3 = "com.tieline.contract.signed.v3"  # a version of tomorrow


def as_v3(data: Mapping[str, Any]) -> dict[str, Any]:
    """As v2, with `total` for value and `sum` for the amount of a line, and a field that nobody knows."""
    made = as_v2(data)
    terms = dict(made["terms"])
    terms["total"] = terms.pop("value")
    terms["lines"] = [{("sum" if name == "amount" else name): v for name, v in line.items()} for line in terms["lines"]]
    return {**made, "terms": terms, "tomorrow": {"a": 1}}


def v3_schema() -> str:
    """Its JSON Schema, as a CLM's maker would write it."""
    money = {"type": "object", "required": ["amount", "currency"]}
    line = {"type": "object", "required": ["key", "description", "sum"], "properties": {"sum": money}}
    terms = {
        "type": "object",
        "required": ["title", "total"],
        "properties": {"total": money, "lines": {"type": "array", "items": line}},
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["contract_id", "revision", "signed_at", "terms"],
        "properties": {"contract_id": {"type": "string"}, "terms": terms},
    }
    return json.dumps(schema)
