"""Quarantined events: tried again on request, dismissed with a reason, shown as text that harms nobody."""

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
import sqlalchemy as sa

from sync_core.authority import Forbidden, person
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.commands.desk import CommandRefused, InvalidInput, NotFound
from sync_core.estate.estate import Clm, Estate
from sync_core.events import DECIDED
from sync_core.intake.sql import OPEN_QUARANTINE
from sync_core.reads import Reads, Window
from sync_core.reads.quarantine import QuarantineFilter, as_text
from tests.commands.people import ADMINISTRATOR, TAX, audited
from tests.reads.handmade import add_contract, insert
from tests.rows import NOW
from tests.sows import SOURCE, cloud_event, estate, signed

OTHER = "urn:test:acquired"
BRITISH_ADMINISTRATOR = person("uk-admin@example.com", ["administrator@GB01"])


def wider() -> Estate:
    now = estate()
    return replace(now, clm=(*now.clm, Clm("acquired", OTHER, "sandbox")))


def commands(engine: sa.Engine) -> Commands:
    return Commands(engine, clock=VirtualClock(NOW), estate=wider())


def reads(engine: sa.Engine) -> Reads:
    return Reads(engine, clock=VirtualClock(NOW), estate=wider())


def held(engine: sa.Engine, contract: str = "C-1", *, kind: str = "signed.v1", body: bytes | None = None) -> int:
    """An event that came before its CLM was in the estate."""
    event = {**cloud_event(f"q-{contract}-{kind}", kind, signed(contract)), "source": OTHER}
    return insert(
        engine, "quarantine", "quarantine_id", source=OTHER, event_id=event["id"], type=event["type"],
        external_id=contract, reason="not in the estate", signature=True, body=body or orjson.dumps(event),
        received_by="webhook", correlation_id="corr", occurred_at=NOW - timedelta(days=2),
        recorded_at=NOW - timedelta(days=2),
    )  # fmt: skip


def waiting(engine: sa.Engine) -> list[int]:
    return [row.quarantine_id for row in reads(engine).quarantine().rows]


def test_what_is_understood_by_now_is_released_at_once_and_the_rest_says_why(database: sa.Engine) -> None:
    good, bad = held(database), held(database, "C-2", kind="signed.v9")
    done = commands(database).quarantine.release(ADMINISTRATOR, [bad, good], reason="the CLM was added")
    assert done.changed == (good,)
    [stays] = done.held
    assert (stays.quarantine_id, "not registered" in stays.words) == (bad, True)
    assert waiting(database) == [bad]
    with database.connect() as conn:
        event = conn.execute(sa.text("SELECT * FROM core.event")).mappings().one()
        contract = conn.execute(sa.text("SELECT * FROM core.contract")).mappings().one()
    assert (event["source"], event["correlation_id"], event["recorded_at"]) == (OTHER, "corr", NOW)
    assert (contract["state"], contract["due_at"], contract["received_at"]) == ("waiting", NOW, NOW - timedelta(days=2))
    [row] = audited(database)
    assert (row["action"], row["subject"]) == ("quarantine.release", f"quarantined event {good}")
    with pytest.raises(CommandRefused, match="released already"):
        commands(database).quarantine.release(ADMINISTRATOR, [good])


def test_nothing_understood_is_a_refusal_with_the_reason(database: sa.Engine) -> None:
    bad = held(database, kind="signed.v9")
    with pytest.raises(CommandRefused, match="not registered"):
        commands(database).quarantine.release(ADMINISTRATOR, [bad])
    assert audited(database) == []


def test_a_workflow_event_cannot_be_released(database: sa.Engine) -> None:
    event = {**cloud_event("w", "signed.v1", signed("C-1")), "source": SOURCE, "type": DECIDED}
    forged = held(database, body=orjson.dumps(event))
    with pytest.raises(CommandRefused, match="Tieline's own commands"):
        commands(database).quarantine.release(ADMINISTRATOR, [forged])


def test_dismissed_it_is_kept_but_never_tried_or_counted_again(database: sa.Engine) -> None:
    one, other = held(database), held(database, "C-2")
    commands(database).quarantine.dismiss(ADMINISTRATOR, [one], "a test of the other firm <b>!</b>")
    assert waiting(database) == [other]
    [gone] = reads(database).quarantine(QuarantineFilter("dismissed")).rows
    assert (gone.state, gone.dismissed_by, gone.dismissed_reason) == (
        "dismissed", "admin@example.com", "a test of the other firm <b>!</b>",
    )  # fmt: skip
    with database.connect() as conn:
        tried = conn.execute(
            OPEN_QUARANTINE,
            {"after": 0, "types": ["com.tieline.contract.signed.v1"], "sources": [OTHER], "most": 9},
        )
        assert [row.quarantine_id for row in tried] == [other]
    for again in (
        commands(database).quarantine.release,
        lambda a, i: commands(database).quarantine.dismiss(a, i, "twice"),
    ):
        with pytest.raises(CommandRefused, match=r"dismissed by admin@example\.com"):
            again(ADMINISTRATOR, [one])
    status = reads(database).status()
    assert status.quarantine_open == 1


def test_who_may_and_how_many(database: sa.Engine) -> None:
    one = held(database)
    quarantine = commands(database).quarantine
    with pytest.raises(Forbidden):
        quarantine.release(TAX, [one])
    with pytest.raises(NotFound):
        quarantine.release(BRITISH_ADMINISTRATOR, [one])
    with pytest.raises(NotFound):
        quarantine.dismiss(ADMINISTRATOR, [one + 9], "no such event")
    with pytest.raises(InvalidInput):
        quarantine.dismiss(ADMINISTRATOR, list(range(201)), "too many")
    with pytest.raises(InvalidInput):
        quarantine.dismiss(ADMINISTRATOR, [one], " ")
    add_contract(database, source=OTHER, external_id="C-1", legal_entity="GB01")
    assert quarantine.dismiss(BRITISH_ADMINISTRATOR, [one], "ours, and wrong").changed == (one,)


def test_the_body_is_shown_as_text_and_cut(database: sa.Engine) -> None:
    hostile = b"<script>\x00\xff\x1b[2J\xe2\x80\xaegnp\n" + b"x" * 5_000
    one = held(database, body=hostile)
    [listed] = reads(database).quarantine().rows
    assert listed.body.startswith("<script>\ufffd\ufffd\ufffd[2J\ufffdgnp\nxxx")
    assert (len(listed.body) <= 2_000, listed.cut, listed.size) == (True, True, len(hostile))
    whole = reads(database).quarantined(one)
    assert whole is not None
    assert (whole.cut, whole.body[-3:]) == (False, "xxx")
    assert reads(database).quarantined(one + 1) is None
    assert as_text(b"\xe4\xb8") == "\ufffd"


def test_limited_readers_see_no_event_of_contracts_they_do_not_reach(database: sa.Engine) -> None:
    one = held(database)
    seen = reads(database).within(BRITISH_ADMINISTRATOR)
    assert (seen.quarantine().rows, seen.quarantined(one)) == ((), None)


def test_pages_of_it_turn(database: sa.Engine) -> None:
    ids = [held(database, f"C-{n}") for n in range(5)]
    first = reads(database).quarantine(window=Window(2))
    second = reads(database).quarantine(window=Window(2, after=first.after))
    assert [row.quarantine_id for row in (*first.rows, *second.rows)] == ids[:4]
    assert first.total == 5
