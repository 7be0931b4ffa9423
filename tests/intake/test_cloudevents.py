"""CloudEvents 1.0 are read as their standard says, and nothing required is made up."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.errors import MalformedEvent, UnsupportedMediaType
from sync_core.intake.cloudevents import (
    BATCH,
    JSON,
    STRUCTURED,
    parse_batch,
    parse_binary,
    parse_request,
    parse_structured,
)

MINIMAL: dict[str, object] = {"specversion": "1.0", "id": "e-1", "source": "urn:a", "type": "t"}
HEADERS = {"ce-specversion": "1.0", "ce-id": "e-1", "ce-source": "urn:a", "ce-type": "t", "content-type": JSON}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def body(**attributes: object) -> bytes:
    return orjson.dumps(MINIMAL | attributes)


@pytest.mark.parametrize("name", MINIMAL)
def test_a_missing_required_attribute_is_named(name: str) -> None:
    without = {key: value for key, value in MINIMAL.items() if key != name}
    with pytest.raises(MalformedEvent, match=f"^{name} is missing"):
        parse_structured(orjson.dumps(without))


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id is empty"),
        ({"id": 7}, "id must be a text"),
        ({"source": "urn:a b"}, "source"),
        ({"source": "x" * 1001}, "source is longer"),
        ({"id": "a\0"}, "control character"),
        ({"time": "yesterday"}, "time 'yesterday'"),
        ({"time": "2026-13-01T00:00:00Z"}, "RFC 3339"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "RFC 3339"),
        ({"time": "2026-01-01T00:00:00"}, "RFC 3339"),
        ({"Subject": "a"}, "'Subject'"),
        ({"ext": {"a": 1}}, "ext must be"),
        ({"ext": 2**31}, "ext must be"),
        ({"ext": 1.5}, "ext must be"),
        ({"data": 1, "data_base64": "MQ=="}, "both there"),
        ({"data_base64": "!"}, "not base64"),
        ({"data_base64": "e30", "x": 1}, "not base64"),
    ],
)
def test_a_wrong_attribute_is_named(attributes: dict[str, object], said: str) -> None:
    with pytest.raises(MalformedEvent, match=said):
        parse_structured(body(**attributes))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"\xff",
        b"[" * 100_000,
        b'{"a":NaN}',
        b'{"id":"\\ud800"}',
        b'{"a":1e999}',
        b'{"a":9e-9999}',
    ],
)
def test_what_is_not_json_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedEvent):
        parse_structured(text)


@pytest.mark.parametrize("number", [b"1234567890123456789.12", b"0.1234567890123456789", b"9223372036854775808"])
def test_a_number_that_would_lose_digits_is_refused_not_rounded(number: bytes) -> None:
    with pytest.raises(MalformedEvent, match="send it as a string"):
        parse_structured(body(data="@").replace(b'"@"', number))


def test_times_are_utc_and_may_be_absent() -> None:
    assert parse_structured(body(time="2026-03-02T10:00:00.123456789+02:00")).time == datetime(
        2026, 3, 2, 8, 0, 0, 123456, UTC
    )
    assert parse_structured(body()).time is None
    assert parse_structured(body(time=None)).time is None


def test_extensions_are_kept() -> None:
    event = parse_structured(body(tenant="emea", sampled=True, hops=3, dataschema="urn:s"))
    assert {k: event.attributes[k] for k in ("tenant", "sampled", "hops", "dataschema")} == {
        "tenant": "emea",
        "sampled": True,
        "hops": 3,
        "dataschema": "urn:s",
    }


def test_the_trace_is_the_events_own_else_the_requests_else_new_and_stable() -> None:
    other = TRACE.replace("4bf9", "aaaa")
    assert parse_structured(body(traceparent=TRACE), traceparent=other).traceparent == TRACE
    assert parse_structured(body(traceparent="junk"), traceparent=other).traceparent == other
    zero = "00-" + "0" * 32 + "-00f067aa0ba902b7-01"
    made = parse_structured(body(), traceparent=zero).traceparent
    assert made == parse_structured(body()).traceparent
    assert made not in (zero, parse_structured(body(id="e-2")).traceparent)


def test_the_correlation_id_is_the_senders_else_the_same_for_every_retry() -> None:
    assert parse_structured(body(correlationid="mine")).correlation_id == "mine"
    assert parse_structured(body()).correlation_id == parse_structured(body(data=1)).correlation_id
    assert parse_structured(body()).correlation_id != parse_structured(body(source="urn:b")).correlation_id


def test_base64_data_of_json_is_read_and_of_other_kinds_kept() -> None:
    assert parse_structured(body(data_base64="eyJhIjoxfQ==")).data == b'{"a":1}'
    xml = parse_structured(body(datacontenttype="text/xml", data_base64="PGEvPg=="))
    assert (xml.json_data, xml.data) == (False, b'"PGEvPg=="')


def test_binary_mode_decodes_its_headers() -> None:
    encoded = HEADERS | {
        "ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80",
        "ce-tenant": '"a \\"b\\""',
        "traceparent": TRACE,
    }
    event = parse_binary(encoded, b'{"a": 1}')
    assert (event.subject, event.attributes["tenant"]) == ("Euro € 😀", 'a "b"')
    assert (event.data, event.traceparent) == (b'{"a":1}', TRACE)
    assert parse_structured(event.body).data == event.data


@pytest.mark.parametrize("value", ["%C0%A0", "%zz", "100%"])
def test_binary_mode_refuses_what_is_no_percent_encoded_utf8(value: str) -> None:
    with pytest.raises(MalformedEvent, match="ce-subject"):
        parse_binary(HEADERS | {"ce-subject": value}, b"{}")


def test_binary_mode_refuses_headers_that_are_no_attributes() -> None:
    with pytest.raises(MalformedEvent, match="Content-Type"):
        parse_binary(HEADERS | {"ce-datacontenttype": JSON}, b"{}")


def test_a_batch_names_the_event_that_is_wrong() -> None:
    with pytest.raises(MalformedEvent, match="event 1 of the batch: id is missing"):
        parse_batch(orjson.dumps([MINIMAL, {**MINIMAL, "id": None}]))
    with pytest.raises(MalformedEvent, match="at least one"):
        parse_batch(b"[]")
    assert [e.id for e in parse_batch(orjson.dumps([MINIMAL, {**MINIMAL, "id": "e-2"}]))] == ["e-1", "e-2"]


def test_the_mode_follows_from_the_headers() -> None:
    assert parse_request({"content-type": f"{STRUCTURED}; charset=utf-8"}, body())[0].id == "e-1"
    assert parse_request({"content-type": BATCH}, b"[" + body() + b"]")[0].id == "e-1"
    assert parse_request(HEADERS, b"{}")[0].id == "e-1"
    for wrong in ({"content-type": JSON}, {}, {"content-type": "text/html"}):
        with pytest.raises(UnsupportedMediaType):
            parse_request(wrong, body())


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON_VALUES)
def test_any_json_data_comes_through_unchanged(data: object) -> None:
    try:
        sent = body(data=data)
    except TypeError:
        return  # lone surrogates cannot be sent at all
    assert orjson.loads(parse_structured(sent).data) == orjson.loads(sent)["data"]


@given(st.binary())
def test_any_bytes_are_an_event_or_malformed(text: bytes) -> None:
    with pytest.raises(MalformedEvent):
        parse_structured(text)
