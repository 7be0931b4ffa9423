"""Messages reach people over real SMTP and HTTP: one for what came together, again when it failed, none twice."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import VirtualClock
from sync_core.delivery.channel import Channel, NotSent
from sync_core.delivery.notify import Notifier, may_disturb
from sync_core.delivery.wording import Text
from sync_core.errors import ErpUnavailable
from sync_core.estate.delivery import Notify, Word
from tests.databases import DatabaseUrls
from tests.delivery.support import BASE, Mailbox, announcer, estate, mailing
from tests.engine.support import Bench
from tests.reads.handmade import add_case, add_contract, add_quarantined, insert
from tests.rows import NOW
from tests.sows import SIGNED_AT, cloud_event, signed

RULE = Notify("ops", "OPS_CHANNEL", (Word.EXCEPTION, Word.LANE, Word.QUARANTINE))


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mailing() as box:
        yield box


@pytest.fixture
def ours() -> Iterator[io.StringIO]:
    """All that reaches the process's log, at its most talkative."""
    text, root = io.StringIO(), logging.getLogger()
    handler, before = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.setLevel(before)
    root.removeHandler(handler)


class Post:
    """A rule with its channel, over a database and a clock that moves when told."""

    def __init__(self, engine: AsyncEngine, url: str, rule: Notify = RULE, *, at: datetime = NOW) -> None:
        self.clock = VirtualClock(at)
        self.announcer = announcer(engine, self.clock)
        channels = {rule.name: Channel(rule.channel_env, url)}
        self.notifier = Notifier(engine, self.clock, estate(rule), channels, base_url=BASE)

    async def begin(self) -> None:
        await self.announcer.announce()
        await self.notifier.drain()

    async def go_on(self, minutes: float = 0) -> None:
        self.clock.advance(timedelta(minutes=minutes))
        await self.announcer.announce()
        await self.notifier.drain()


def open_case(database: sa.Engine, n: int = 1) -> int:
    contract = add_contract(database, external_id=f"C-{n}", customer_name="Bcc: x@evil.example\r\n<b>")
    money = Decimal(n * 100)
    case = add_case(database, contract, "tax_profile_missing", exposure=money, exposure_reporting=money)
    insert(database, "case_history", case_id=case, what="opened", function="tax", occurred_at=NOW, recorded_at=NOW)
    return case


def held(database: sa.Engine) -> sa.RowMapping:
    with database.connect() as conn:
        return conn.execute(sa.text("SELECT * FROM core.notice")).mappings().one()


async def test_500_exceptions_are_one_message(
    database: sa.Engine, async_database: AsyncEngine, mailbox: Mailbox
) -> None:
    post = Post(async_database, mailbox.url)
    await post.begin()
    for n in range(500):
        open_case(database, n)
    for _ in range(16):  # they are announced in the first of these minutes
        await post.go_on(minutes=1)
    assert len(mailbox.mails) == 1
    [mail] = mailbox.mails
    assert mail["Subject"] == "Tieline: 500 exceptions, 12,475,000.00 USD"
    assert mail["To"] == "ops@example.org"
    assert mail["Bcc"] is None
    assert mail.get_content_type() == "text/plain"
    body = mail.get_content()
    assert "500 x tax profile missing, with tax, 12,475,000.00 USD" in body
    assert "C-499 Bcc: x(at)evil.example ‹b›" in body
    for _ in range(3):
        await post.go_on(minutes=60)
    assert len(mailbox.mails) == 1
    assert held(database)["failures"] == 0


async def test_an_outage_is_one_message_and_its_end_another(
    database: sa.Engine, async_database: AsyncEngine, mailbox: Mailbox
) -> None:
    post, bench = Post(async_database, mailbox.url, at=SIGNED_AT), Bench(async_database)
    bench.clock = post.clock
    await post.begin()
    bench.erp.before = lambda _operation, _ctx: ErpUnavailable("cloud", "connection refused")
    await bench.arrive(*(cloud_event(f"e{n}", "signed.v1", signed(f"C-{n}")) for n in range(50)))
    worker = await bench.worker()
    await worker.drain()
    await post.go_on()
    assert [mail["Subject"].split(",")[0] for mail in mailbox.mails] == ["Tieline: ERP cloud is stopped"]
    assert "50 contracts wait, none is lost" in mailbox.mails[0]["Subject"]
    for _ in range(4):
        await worker.drain()
        await post.go_on(minutes=30)
    assert len(mailbox.mails) == 1
    bench.erp.before = lambda _operation, _ctx: None
    post.clock.advance(timedelta(minutes=5))
    await worker.drain()
    assert await bench.count("active") == 50
    await post.go_on(minutes=1)
    await post.go_on(minutes=30)
    assert [mail["Subject"] for mail in mailbox.mails[1:]] == ["Tieline: ERP cloud answers again; its contracts go on"]


async def test_a_signature_in_quarantine_goes_at_once_and_others_with_the_digest(
    database: sa.Engine, async_database: AsyncEngine, mailbox: Mailbox
) -> None:
    post = Post(async_database, mailbox.url)
    await post.begin()
    open_case(database)
    add_quarantined(database, "S-1", hours=0)
    add_quarantined(database, "S-2", hours=0, signature=False)
    await post.go_on()
    assert [mail["Subject"] for mail in mailbox.mails] == ["Tieline: 1 event in quarantine"]
    add_quarantined(database, "S-3", hours=0)
    add_quarantined(database, "S-4", hours=0)
    await post.go_on(minutes=0.5)
    assert len(mailbox.mails) == 1, "the next ones are gathered for a minute"
    await post.go_on(minutes=0.5)
    assert mailbox.mails[1]["Subject"] == "Tieline: 2 events in quarantine"
    await post.go_on(minutes=14)
    assert mailbox.mails[2]["Subject"] == "Tieline: 1 event in quarantine, 1 exception, 100.00 USD"
    assert len(mailbox.mails) == 3


async def test_what_is_resolved_within_the_digest_is_not_told(
    database: sa.Engine, async_database: AsyncEngine, mailbox: Mailbox
) -> None:
    post = Post(async_database, mailbox.url)
    await post.begin()
    case = open_case(database)
    await post.go_on()
    at = NOW + timedelta(minutes=5)
    insert(database, "case_history", case_id=case, what="resolved", function="tax", occurred_at=at, recorded_at=at)
    await post.go_on(minutes=15)
    assert mailbox.mails == []
    assert held(database)["digest_seq"] == 2


async def test_a_mail_server_that_refuses_is_tried_again_and_the_message_comes_once(
    database: sa.Engine, async_database: AsyncEngine, mailbox: Mailbox, ours: io.StringIO
) -> None:
    secret = "s3cretpass"
    url = f"mailto://127.0.0.1:{mailbox.port}?from=tieline@example.com&to=ops@example.org&reply={secret}@example.org"
    post, mailbox.refuses = Post(async_database, url, replace(RULE, digest_minutes=0)), True
    await post.begin()
    open_case(database)
    await post.go_on()
    assert (held(database)["failures"], mailbox.mails) == (1, [])
    assert "notify ops: " in ours.getvalue()
    assert secret not in held(database)["last_error"] + ours.getvalue()
    mailbox.refuses = False
    await post.go_on()
    assert mailbox.mails == [], "not before its time"
    await post.go_on(minutes=1)
    await post.go_on(minutes=1)
    assert len(mailbox.mails) == 1
    assert held(database)["failures"] == 0


async def test_two_notifiers_send_one_message(
    database: sa.Engine, async_database: AsyncEngine, mailbox: Mailbox
) -> None:
    rule = replace(RULE, digest_minutes=0)
    posts = [Post(async_database, mailbox.url, rule) for _ in range(3)]
    await posts[0].begin()
    open_case(database)
    await posts[0].announcer.announce()
    await asyncio.gather(*(post.notifier.drain() for post in posts))
    assert len(mailbox.mails) == 1


async def test_a_rule_for_one_legal_entity_hears_of_no_other(
    database: sa.Engine, async_database: AsyncEngine, mailbox: Mailbox
) -> None:
    post = Post(async_database, mailbox.url, replace(RULE, digest_minutes=0, entities=("GB01",)))
    await post.begin()
    open_case(database)  # of US01
    add_quarantined(database, "nobody knows whose", hours=0)
    await post.go_on()
    assert mailbox.mails == []


async def test_a_webhook_gets_plain_text(database: sa.Engine, async_database: AsyncEngine) -> None:
    got: list[dict[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(status=302 if len(got) > 1 else 200, headers={"location": "/elsewhere"})

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    channel = Channel("HOOK", f"json://127.0.0.1:{runner.addresses[0][1]}/hook")
    await asyncio.to_thread(channel.send, Text("Tieline: t", "a <b> &amp; :smile: \\n ${X}"))
    assert (got[0]["title"], got[0]["message"]) == ("Tieline: t", "a <b> &amp; :smile: \\n ${X}")
    with pytest.raises(NotSent):
        await asyncio.to_thread(channel.send, Text("t", "b"))
    assert len(got) == 2, "a redirect is not followed"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("url", "words"), [(None, "HOOK is not set"), ("", "HOOK is not set"), ("nonsense://s3cret", "no URL that Apprise")]
)
def test_a_channel_that_cannot_be_says_which_variable_to_set(url: str | None, words: str) -> None:
    with pytest.raises(NotSent, match=words) as refused:
        Channel("HOOK", url).send(Text("t", "b"))
    assert "s3cret" not in refused.value.words
    assert "s3cret" not in repr(Channel("HOOK", "json://user:s3cret@127.0.0.1"))


@pytest.mark.parametrize(
    ("quiet", "at", "may"),
    [
        (False, datetime(2026, 11, 22, 3, tzinfo=UTC), True),
        (True, datetime(2026, 11, 22, 12, tzinfo=UTC), False),  # a Sunday
        (True, datetime(2026, 11, 23, 8, 59, tzinfo=UTC), False),
        (True, datetime(2026, 11, 23, 9, 0, tzinfo=UTC), True),
        (True, datetime(2026, 11, 23, 17, 30, tzinfo=UTC), False),
    ],
)
def test_a_quiet_rule_waits_for_working_hours(quiet: bool, at: datetime, may: bool) -> None:
    rule = replace(RULE, quiet=quiet, entities=("GB01",))
    assert may_disturb(rule, estate(rule), at) is may


async def test_what_waits_is_found_without_a_look_at_all_that_was_told_to_others(
    database_urls: DatabaseUrls, async_database: AsyncEngine
) -> None:
    """It is asked every few seconds, and a quiet rule's place stands still for a weekend."""
    owner = sa.create_engine(database_urls.owner)
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as filling:
        filling.execute(sa.text("""
            INSERT INTO core.outgoing (id, type, subject, legal_entity, severity, occurred_at, recorded_at, data)
            SELECT CAST(n AS text), 'com.tieline.' || CASE n % 1000 WHEN 0 THEN 'exception.opened' WHEN 1 THEN
                'lane.stopped' WHEN 2 THEN 'exception.resolved' ELSE 'project.activated' END || '.v1', '', 'US01',
                'low', :now, :now, jsonb_build_object('text', repeat('x', 500))
            FROM generate_series(1, 20000) AS n
        """), {"now": NOW})  # fmt: skip
        filling.execute(sa.text("ANALYZE core.outgoing"))
    owner.dispose()
    rule = Notify("night", "NIGHT_CHANNEL", (Word.EXCEPTION,), quiet=True)
    asked: list[tuple[str, Any]] = []

    def note(_conn: object, _cursor: object, text: str, values: Any, *_rest: object) -> None:
        asked.append((text, values))

    post = Post(async_database, "json://127.0.0.1:1", rule, at=NOW)
    async with async_database.begin() as conn:
        await conn.execute(sa.text("INSERT INTO core.notice (name, digest_seq, urgent_seq) VALUES ('night', 0, 0)"))
    sa.event.listen(async_database.sync_engine, "before_cursor_execute", note)
    await post.notifier.drain()
    [(text, values)] = [one for one in asked if "digest_since" in one[0]]
    async with async_database.connect() as conn:
        plan = "\n".join((await conn.exec_driver_sql(f"EXPLAIN {text}", values)).scalars())
    assert "outgoing_by_type" in plan
    assert "Seq Scan on outgoing" not in plan
