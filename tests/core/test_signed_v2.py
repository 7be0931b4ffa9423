"""Two versions of a signature side by side: whatever is signed, v1 and v2 say the same contract."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.events import PREFIX, Event, SchemaUnknown, in_core_form, understand
from tests.folds import fold
from tests.sows import SIGNED_AT, SOURCE, milestone_terms, signed, tm_terms
from tests.versions import as_v2

V1, V2 = f"{PREFIX}signed.v1", f"{PREFIX}signed.v2"
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=20)
AMOUNTS = st.decimals(Decimal("-9999999"), Decimal("99999999"), places=2).map(str)


@st.composite
def terms(draw: st.DrawFn) -> dict[str, Any]:
    """Terms of v1: every part with any amounts, optional parts there or not, fields of tomorrow in all places."""
    make = draw(st.sampled_from([milestone_terms, tm_terms]))
    currency = draw(st.sampled_from(["USD", "JPY", "KWD"]))
    made = make(value=draw(AMOUNTS), currency=currency, title=draw(TEXTS), tomorrow={"a": draw(TEXTS)})
    for part, field in (("lines", "amount"), ("milestones", "amount"), ("rates", "rate")):
        rows = made.get(part)
        if isinstance(rows, list):
            made[part] = [{**row, field: draw(AMOUNTS), "tomorrow": draw(TEXTS)} for row in rows]
    for optional in draw(st.sets(st.sampled_from(["lines", "milestones", "rates", "tax", "po_number"]))):
        made.pop(optional, None)
    if draw(st.booleans()):
        made["billing"] = {**made["billing"], "not_to_exceed": draw(AMOUNTS), "tomorrow": draw(TEXTS)}  # type: ignore[dict-item]
    return made


@given(terms())
def test_both_versions_fold_to_the_same_contract(said: dict[str, Any]) -> None:
    first = signed("C-1", said) | {"added_later": [1]}
    folded = [
        fold([Event(SOURCE, "e", kind, SIGNED_AT, understand(kind, orjson.dumps(data)))])
        for kind, data in ((V1, first), (V2, as_v2(first)))
    ]
    assert folded[0] == folded[1]


@given(terms())
def test_the_core_form_is_what_v1_would_have_sent(said: dict[str, Any]) -> None:
    first = signed("C-1", said) | {"added_later": [1]}
    kind, data = in_core_form(V2, orjson.dumps(as_v2(first)))
    assert (kind, orjson.loads(data)) == (V1, first)
    assert in_core_form(V1, b"{") == (V1, b"{")


def wrong(**changes: object) -> Mapping[str, Any]:
    data = as_v2(signed("C-1", tm_terms()))
    return {**data, "terms": {**data["terms"], **changes}}


@pytest.mark.parametrize(
    ("field", "data"),
    [
        ("terms.lines.0.amount: EUR is not the currency of terms.value, USD", wrong(
            lines=[{"key": "1", "description": "x", "amount": {"amount": "1", "currency": "EUR"}}])),
        ("terms.rates.0.rate: GBP is not the currency", wrong(
            rates=[{"category": "SR", "name": "S", "rate": {"amount": "1", "currency": "GBP"}}])),
        ("terms.billing.not_to_exceed: GBP is not the currency", wrong(billing={
            "kind": "time_and_materials", "payment_terms": "N", "not_to_exceed": {"amount": 1, "currency": "GBP"}})),
        ("terms.currency: v2 has none", wrong(currency="USD")),
        ("terms.value", wrong(value="1.00")),
        ("terms.value.currency", wrong(value={"amount": "1.00", "currency": "usd"})),
        ("terms.lines", wrong(lines=None)),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_told_by_its_field(field: str, data: Mapping[str, Any]) -> None:
    with pytest.raises(SchemaUnknown, match=f"signed.v2: {field}"):
        understand(V2, orjson.dumps(data))
