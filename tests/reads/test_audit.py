"""The audit's list: each filter alone and together, within reach, the same rows whichever way they are paged."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from sync_core.authority import Forbidden, person
from sync_core.reads import AuditFilter, AuditRow, Reads, Window
from tests import audit_rows, rows
from tests.filled import filled
from tests.reads.conftest import reads_over

ROWS = 3_000  # more than are counted, so that both ways of paging are used
DAY = timedelta(days=1)
ADA = "ada.lovelace@meridian.example"


@pytest.fixture(scope="module")
def audited(server: Endpoint) -> Iterator[Reads]:
    with filled(server, "seeded_40", lambda url: rows.seed(url, 40)) as urls:
        audit_rows.fill(urls.owner_libpq, ROWS, now=rows.NOW, contracts=40)
        engine = sa.create_engine(urls.app)
        yield reads_over(engine)
        engine.dispose()


def all_rows(reads: Reads, wanted: AuditFilter, *, size: int = 500) -> list[AuditRow]:
    found: list[AuditRow] = []
    window = Window(size)
    while True:
        page = reads.audit(wanted, window=window)
        found += page.rows
        if page.after is None:
            return found
        window = Window(size, after=page.after)


def test_every_row_is_met_once_newest_first_and_backwards_too(audited: Reads) -> None:
    found = all_rows(audited, AuditFilter())
    assert [row.id for row in found] == list(range(ROWS, 0, -1))
    page = audited.audit(window=Window(50))
    assert (page.total_text, page.before) == ("1,000+", None)
    second = audited.audit(window=Window(50, after=page.after))
    back = audited.audit(window=Window(50, before=second.before))
    assert [row.id for row in back.rows] == [row.id for row in page.rows]


@pytest.mark.parametrize(
    ("wanted", "meets"),
    [
        (AuditFilter(actor=ADA), lambda row: row.actor == ADA),
        (AuditFilter(action="replay.confirm"), lambda row: row.action == "replay.confirm"),
        (AuditFilter(action="exception."), lambda row: row.action.startswith("exception.")),
        (AuditFilter(contract="C-7"), lambda row: row.external_id == "C-7"),
        (AuditFilter(contract_id=7), lambda row: row.contract_id == 7),
        (AuditFilter(legal_entity="DE01"), lambda row: row.legal_entity == "DE01"),
        (AuditFilter(subject="exception 4007"), lambda row: row.subject == "exception 4007"),
        (AuditFilter(text="RATE card"), lambda row: "rate card" in row.reason),
        (AuditFilter(text="re"), lambda row: row.subject.startswith("re")),
        (AuditFilter(text="100%_"), lambda row: False),
        (AuditFilter(since=rows.NOW - DAY), lambda row: row.occurred_at >= rows.NOW - DAY),
        (AuditFilter(until=rows.NOW - DAY), lambda row: row.occurred_at < rows.NOW - DAY),
        (
            AuditFilter(actor=ADA, action="exception.", since=rows.NOW - DAY, text="purchase"),
            lambda row: False,
        ),
        (
            AuditFilter(actor=ADA, action="exception.", since=rows.NOW - DAY),
            lambda row: row.actor == ADA and row.action[:10] == "exception." and row.occurred_at >= rows.NOW - DAY,
        ),
    ],
)
def test_a_filter_finds_what_meets_it(audited: Reads, wanted: AuditFilter, meets: Callable[[AuditRow], bool]) -> None:
    every = all_rows(audited, AuditFilter())
    assert [row.id for row in all_rows(audited, wanted)] == [row.id for row in every if meets(row)]


def test_details_are_parsed_and_hashes_are_hex(audited: Reads) -> None:
    row = next(row for row in all_rows(audited, AuditFilter(action="correction.apply")))
    assert row.detail["after"]["billing"]["payment_terms"] == "NET45"
    assert (len(row.hash), len(row.previous)) == (64, 64)
    assert audited.audit_row(row.id) == row
    assert audited.audit_row(ROWS + 1) is None


def test_a_limited_reach_sees_its_entities_alone(audited: Reads) -> None:
    limited = audited.within(person("eve@example.com", ["auditor@GB01+DE01", "executive"]))
    assert {row.legal_entity for row in all_rows(limited, AuditFilter())} == {"GB01", "DE01"}
    bare = next(row for row in all_rows(audited, AuditFilter()) if row.legal_entity is None)
    assert limited.audit_row(bare.id) is None
    assert audited.within(person("eve@example.com", ["auditor"])).audit_row(bare.id) == bare
    assert "session.begin" not in limited.audit_choices().actions
    with pytest.raises(Forbidden):
        audited.within(person("cfo@example.com", ["executive"])).audit()


def test_choices_are_what_there_is(audited: Reads) -> None:
    every = all_rows(audited, AuditFilter())
    choices = audited.audit_choices()
    assert choices.actors == tuple(sorted({row.actor for row in every}))
    assert choices.actions == tuple(sorted({row.action for row in every}))
    assert choices.families == ("approval.", "correction.", "exception.", "replay.", "session.")


def test_an_audit_without_rows_has_no_choices_and_no_verification(reads: Reads) -> None:
    assert (reads.audit_choices().actors, reads.audit().rows, reads.audit_status().verified_at) == ((), (), None)
