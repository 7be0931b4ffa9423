"""What the estate file may say of subscribers and notifications."""

import pytest

from sync_core.errors import InvalidEstate
from sync_core.estate.delivery import Severity, Word
from sync_core.estate.estate import load
from tests.rows import ESTATE_TEXT

SUBSCRIBER = '[[subscriber]]\nname = "billing"\nurl = "https://billing.example/events"\nsecret_env = ["BILLING"]\n'
NOTIFY = '[[notify]]\nname = "ops"\nchannel_env = "OPS"\non = ["exception", "lane"]\n'


def test_both_are_read_with_plain_defaults() -> None:
    estate = load(f'{ESTATE_TEXT}\n{SUBSCRIBER}{NOTIFY}min_severity = "medium"\n')
    assert estate.subscribers["billing"].prefixes == ("com.tieline.",)
    [rule] = estate.notify
    assert (rule.on, rule.min_severity, rule.digest_minutes) == ((Word.EXCEPTION, Word.LANE), Severity.MEDIUM, 15)
    assert estate.rules_version == load(ESTATE_TEXT).rules_version, "who is told changes no contract"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SUBSCRIBER + SUBSCRIBER, "given twice: billing"),
        (SUBSCRIBER.replace('billing"\n', 'Billing <b>"\n', 1), "a name has up to 39"),
        (SUBSCRIBER.replace("https", "http"), "url must be https"),
        (SUBSCRIBER.replace("https://", "https://user:pass@"), "user or password"),
        (SUBSCRIBER.replace('["BILLING"]', "[]"), "secret_env must name"),
        (SUBSCRIBER + "types = []\n", "types must not be empty"),
        (SUBSCRIBER + 'types = ["exception.*"]\n', "is no type"),
        (SUBSCRIBER + 'entities = ["ZZ99"]\n', "'ZZ99' is not in"),
        (SUBSCRIBER + "entities = []\n", "entities is empty"),
        (SUBSCRIBER + 'type = "com.tieline.*"\n', "1 'billing': type is no key of .*; did you mean types"),
        (NOTIFY.replace('["exception", "lane"]', "[]"), "on must name at least one"),
        (NOTIFY.replace("lane", "lanes"), "1 'ops': on, value 2 'lanes' is none of .*; did you mean lane"),
        (NOTIFY + "digest_minutes = 1441\n", "digest_minutes"),
        ("[delivery]\nrenewal_days = 61\n", "renewal_days"),
        ("[renewal]\nalert_days = [30, 30]\n", "alert_days must be different"),
        ("[renewal]\nalert_days = [0]\n", "alert_days must be different"),
        ("[renewal]\nalert_days = [9]\n[delivery]\nrenewal_days = 9\n", "take one of the two out"),
        ("[renewal]\ndays = [9]\n", "days is no key of .*; use alert_days"),
    ],
)
def test_what_contradicts_itself_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidEstate, match=words):
        load(f"{ESTATE_TEXT}\n{text}")
