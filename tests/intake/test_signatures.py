"""Signatures are those of Standard Webhooks, and the message says which check failed."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from sync_core.errors import BadSignature, InvalidEstate
from sync_core.intake.signatures import sign, signing_key, verify

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD_SECRET = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
KEY, OLD_KEY = signing_key(SECRET), signing_key(OLD_SECRET)
BODY = b'{"a":"\xc3\xa9"}'
SIGNED = sign(BODY, webhook_id="msg_1.r2", at=NOW, key=KEY)


def test_it_equals_the_reference_implementation() -> None:
    assert SIGNED["webhook-signature"] == Webhook(SECRET).sign("msg_1.r2", NOW, BODY.decode())


def test_a_moment_in_another_zone_signs_the_same_second() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-3)))
    assert sign(BODY, webhook_id="msg_1.r2", at=elsewhere, key=KEY) == SIGNED


def test_while_a_secret_rotates_the_old_and_the_new_one_verify() -> None:
    verify(SIGNED, BODY, keys=[OLD_KEY, KEY], now=NOW)
    old = sign(BODY, webhook_id="msg_1.r2", at=NOW, key=OLD_KEY)["webhook-signature"]
    both = SIGNED | {"webhook-signature": f"{old} {SIGNED['webhook-signature']}"}
    verify(both, BODY, keys=[KEY], now=NOW)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_the_window_is_five_minutes_each_way(seconds: int) -> None:
    verify(SIGNED, BODY, keys=[KEY], now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"webhook-id": None}, "webhook-id is missing"),
        ({"webhook-id": "a b"}, "webhook-id is malformed"),
        ({"webhook-id": '{"a"'}, "webhook-id is malformed"),
        ({"webhook-id": "x" * 257}, "webhook-id is malformed"),
        ({"webhook-id": "msg_2"}, "no signature matches"),
        ({"webhook-timestamp": None}, "webhook-timestamp is missing"),
        ({"webhook-timestamp": "1e9"}, "webhook-timestamp is malformed"),
        ({"webhook-timestamp": "nan"}, "webhook-timestamp is malformed"),
        ({"webhook-timestamp": "١٢٣"}, "webhook-timestamp is malformed"),
        ({"webhook-timestamp": str(int(NOW.timestamp()) - 301)}, "behind our clock"),
        ({"webhook-timestamp": str(int(NOW.timestamp()) + 301)}, "ahead of our clock"),
        ({"webhook-timestamp": str(int(NOW.timestamp()) + 1)}, "no signature matches"),
        ({"webhook-signature": None}, "webhook-signature is missing"),
        ({"webhook-signature": ""}, "webhook-signature is missing"),
        ({"webhook-signature": "v1"}, "no signature matches"),
        ({"webhook-signature": "v1,!!"}, "no well-formed v1"),
        ({"webhook-signature": "v1a,AAAA"}, "no well-formed v1"),
        ({"webhook-signature": "v1,é"}, "no well-formed v1"),
        ({"webhook-signature": "v1,AAAA"}, "no signature matches"),
    ],
)
def test_the_check_that_failed_is_named(headers: dict[str, str | None], said: str) -> None:
    sent = {name: value for name, value in (SIGNED | headers).items() if value is not None}
    with pytest.raises(BadSignature, match=said) as refused:
        verify(sent, BODY, keys=[KEY], now=NOW)
    assert SECRET[6:] not in str(refused.value)


def test_another_body_another_key_and_no_key_are_refused() -> None:
    with pytest.raises(BadSignature, match="no signature matches"):
        verify(SIGNED, BODY + b" ", keys=[KEY], now=NOW)
    with pytest.raises(BadSignature, match="no signature matches"):
        verify(SIGNED, BODY, keys=[OLD_KEY], now=NOW)
    with pytest.raises(BadSignature, match="no webhook secret is set"):
        verify(SIGNED, BODY, keys=[], now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_?", "whsec_c2hvcnQ=", "whsec_" + "A" * 100])
def test_a_secret_that_is_none_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(InvalidEstate) as refused:
        signing_key(secret)
    assert len(secret) < 8 or secret not in refused.value.message


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_headers_are_verified_or_refused(webhook_id: str, seconds: str, signature: str) -> None:
    sent = {"webhook-id": webhook_id, "webhook-timestamp": seconds, "webhook-signature": signature}
    with pytest.raises(BadSignature):
        verify(sent, BODY, keys=[KEY], now=NOW)
