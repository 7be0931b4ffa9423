"""Snapshots that were asked for are made once, kept, told of, delivered to every target, and to none twice."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from email import message_from_bytes
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import fsspec
import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator, FormatChecker

from metrics.asking import InvalidAsk
from metrics.snapshot import keeping
from metrics.snapshot.delivery import Deliverer
from metrics.snapshot.lease import renewed
from metrics.snapshot.package import BOARD_PACK, MANIFEST, verify
from sync_core.authority import Forbidden, person
from sync_core.commands.commands import Commands
from sync_core.commands.desk import CommandRefused, InvalidInput, NotFound
from sync_core.delivery.messages import OUTGOING
from sync_core.errors import InvalidEstate
from sync_core.estate import load
from sync_core.estate_snapshot import SnapshotPolicy
from sync_core.reads.reads import Reads
from tests import rows
from tests.metrics.snapshot.firm import SIGNER, Firm, late_events

CHIEF = person("chief@example.com", ["executive", "operator"])
BRITISH = person("uk@example.com", ["executive@GB01", "operator:tax@GB01"])


def reads(one: Firm) -> Reads:
    return Reads(one.engine, clock=one.clock, estate=one.estate)


def deliverer(one: Firm, home: Path, secrets: dict[str, str] | None = None) -> Deliverer:
    return Deliverer(
        one.engine,
        one.clock,
        one.estate,
        home,
        (secrets or {}).get,
        tuple(one.maker.targets),
        "https://tieline.example",
    )


def told(one: Firm) -> list[sa.RowMapping]:
    with one.engine.connect() as conn:
        return list(conn.execute(sa.text("SELECT * FROM core.outgoing WHERE type = :t ORDER BY seq"),
                                 {"t": keeping.EVENT}).mappings())  # fmt: skip


def test_what_was_asked_for_is_made_once_kept_and_told(one: Firm) -> None:
    asked = one.ask()
    assert one.maker.make_next() is not None
    assert one.maker.make_next() is None
    found = reads(one).snapshot(asked)
    assert found is not None
    assert (found.snapshot.state, found.snapshot.week, found.snapshot.release) == ("made", one.week, "1.2.3")
    assert found.snapshot.restated_since is None
    manifest = Commands(one.engine, clock=one.clock, estate=one.estate).snapshots.file(CHIEF, asked, MANIFEST)
    assert manifest.sha256 == found.snapshot.content_id
    assert {file.name for file in found.files} == {MANIFEST, *(f["name"] for f in json.loads(manifest.body)["files"])}
    [event] = told(one)
    schema = OUTGOING[keeping.EVENT].schema()
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(event["data"])
    assert (event["data"]["week"], event["legal_entity"]) == ("2026-W47", None)
    assert len(json.dumps(event["data"])) < 20_000


def test_two_workers_make_each_snapshot_once(one: Firm) -> None:
    ids = {one.ask(), one.ask(week=one.week - timedelta(days=7))}
    done: list[int] = []

    def work() -> None:
        while (made := one.maker.make_next()) is not None:
            done.append(made.snapshot_id)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(done) == sorted(ids)
    assert {row.state for row in reads(one).snapshots().rows} == {"made"}


def test_who_lost_the_lease_is_not_heard(one: Firm) -> None:
    one.ask()
    lost = keeping.claim(one.engine, now=one.clock.now())
    assert lost is not None
    with one.engine.begin() as conn:
        conn.execute(sa.text("UPDATE metrics.snapshot SET lease_until = now() - interval '1 s'"))
    assert one.maker.make_next() is not None
    keeping.failed(one.engine, lost, "too late", again_at=None)
    [row] = reads(one).snapshots().rows
    assert (row.state, row.error) == ("made", None)


def until(engine: sa.Engine, condition: str, *, within_s: float = 30) -> None:
    """Poll a condition on the snapshot and the database's clock."""
    deadline = time.monotonic() + within_s
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        while not conn.scalar(sa.text(f"SELECT {condition} FROM metrics.snapshot")):
            assert time.monotonic() < deadline, condition
            threading.Event().wait(0.02)


def test_a_snapshot_that_takes_longer_than_its_lease_keeps_it(one: Firm) -> None:
    one.ask()
    slow = replace(one.maker, lease_s=0.6)
    with ThreadPoolExecutor(1) as pool:
        with one.engine.begin() as conn:
            conn.execute(sa.text("LOCK TABLE metrics.contract_fact IN ACCESS EXCLUSIVE MODE"))
            making = pool.submit(slow.make_next)
            until(one.engine, "lease_until IS NOT NULL")
            with one.engine.connect() as other:
                first = other.scalar(sa.text("SELECT lease_until FROM metrics.snapshot"))
            until(one.engine, f"now() > CAST('{first}' AS timestamptz) + interval '1 s'")  # nearly two leases later
            assert not making.done()
            assert keeping.claim(one.engine, now=one.clock.now()) is None
        assert making.result(timeout=60) is not None
    [row] = reads(one).snapshots().rows
    assert (row.state, row.error) == ("made", None)
    with one.engine.connect() as conn:
        assert conn.execute(sa.text("SELECT attempts, lease_until FROM metrics.snapshot")).one() == (1, None)


def test_a_lease_that_another_has_is_not_renewed(one: Firm) -> None:
    one.ask()
    lost = keeping.claim(one.engine, now=one.clock.now(), lease_s=-1)
    again = keeping.claim(one.engine, now=one.clock.now(), lease_s=-1)
    assert lost is not None
    assert again is not None
    with renewed(one.engine, lost, lease_s=0.03):
        names = {thread.name for thread in threading.enumerate()}
        while names & {f"lease of snapshot {lost.snapshot_id}"}:  # it ends by itself
            names = {thread.name for thread in threading.enumerate()}
    with one.engine.connect() as conn:
        assert conn.scalar(sa.text("SELECT lease_until < now() FROM metrics.snapshot"))


def test_what_cannot_be_made_is_refused_at_the_door(one: Firm) -> None:
    with pytest.raises(InvalidInput, match=r"nothing is known as of .* the first measures are of"):
        one.ask(as_of=one.clock.now() - timedelta(hours=1))
    with pytest.raises(InvalidInput, match="had not begun as of"):
        one.ask(as_of=one.clock.now() - timedelta(days=300))
    assert reads(one).snapshots().rows == ()


def test_what_could_not_be_made_says_why(one: Firm) -> None:
    """What was stored before it was checked at the door, or is not true any more."""
    asked = one.ask()
    with one.engine.begin() as conn:
        conn.execute(sa.text("UPDATE metrics.snapshot SET wanted_as_of = :at"), {"at": one.clock.now() - timedelta(9)})
    with pytest.raises(InvalidAsk):
        one.maker.make_here(keeping.asked(one.engine, asked))
    found = reads(one).snapshot(asked)
    assert found is not None
    assert found.snapshot.state == "failed"
    assert (found.snapshot.error or "").startswith("as_of: nothing is known as of")


def test_of_the_schedule_there_is_one_a_week(one: Firm) -> None:
    one.ask(scheduled=True)
    with pytest.raises(CommandRefused, match="by the schedule already"):
        one.ask(scheduled=True)
    assert one.ask() > 0


def test_a_folder_and_a_storage_get_it_whole_and_once(one: Firm, tmp_path: Path) -> None:
    bucket = f"memory://bucket-{tmp_path.name}/board"
    one.estate = replace(one.estate, snapshot=SnapshotPolicy(deliver=("home", tmp_path.joinpath("b").as_uri(), bucket)))
    asked = one.ask()
    one.maker.make_next()
    work = deliverer(one, tmp_path / "home")
    for _ in range(3):
        assert work.deliver_next()
    assert not work.deliver_next()
    found = reads(one).snapshot(asked)
    assert found is not None
    assert [d.attempts for d in found.deliveries] == [1, 1, 1]
    for root in (tmp_path / "home", tmp_path / "b"):
        [folder] = root.glob("2026-W47/*")
        assert verify(folder, {SIGNER.public.id: SIGNER.public}).week == "2026-W47"
    storage, path = fsspec.core.url_to_fs(bucket)
    assert {Path(name).name for name in storage.find(path)} == {file.name for file in found.files}
    one.later(timedelta(seconds=1))
    again = one.ask(as_of=found.snapshot.as_of)  # the same content
    one.maker.make_next()
    assert not work.deliver_next()
    same = reads(one).snapshot(again)
    assert same is not None
    assert same.snapshot.content_id == found.snapshot.content_id
    assert all(d.delivered_at for d in same.deliveries)
    assert len(told(one)) == 1


def test_a_target_that_fails_is_seen_and_tried_again(one: Firm, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file where the folder should be")
    one.estate = replace(one.estate, snapshot=SnapshotPolicy(deliver=("home", taken.as_uri()), mail_env=("BOARD",)))
    asked = one.ask()
    one.maker.make_next()
    work = deliverer(one, tmp_path / "home")
    while work.deliver_next():
        pass
    found = reads(one).snapshot(asked)
    assert found is not None
    states = {d.target: (d.delivered_at is not None, d.attempts, d.error or "") for d in found.deliveries}
    assert states["home"][:2] == (True, 1)
    assert not states[taken.as_uri()][0]
    assert states["mail:BOARD"] == (False, 1, "BOARD is not set; give it the Apprise URL of the channel")
    [row] = reads(one).snapshots().rows
    assert row.undelivered == 2
    taken.unlink()
    one.later(timedelta(minutes=2))
    while work.deliver_next():
        pass
    again = reads(one).snapshot(asked)
    assert again is not None
    assert {d.target for d in again.deliveries if d.delivered_at is None} == {"mail:BOARD"}


class _Mailbox(ThreadingTCPServer):
    """A mail server that takes everything: SMTP as RFC 5321 has it, without TLS."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Smtp)


class _Smtp(StreamRequestHandler):
    server: _Mailbox

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(part)
                self.server.mails.append(b"".join(lines))
            self.wfile.write(b"250 test\r\n" if word != b"QUIT" else b"221 bye\r\n")
            if word == b"QUIT":
                return


# Apprise looks at an attachment by a module that Python 3.13 no longer has.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
def test_people_get_the_board_pack_by_mail(one: Firm, tmp_path: Path) -> None:
    one.estate = replace(one.estate, snapshot=SnapshotPolicy(deliver=(), mail_env=("BOARD",)))
    asked = one.ask()
    one.maker.make_next()
    with _Mailbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"mailto://127.0.0.1:{server.server_address[1]}/?from=tieline@example.com&to=board@example.com&mode=insecure"
        assert deliverer(one, tmp_path, {"BOARD": url}).deliver_next()
        server.shutdown()
    found = reads(one).snapshot(asked)
    assert found is not None
    assert [(d.error, d.location) for d in found.deliveries] == [(None, "mail:BOARD")]
    [mail] = server.mails
    parts = {part.get_filename(): part.get_payload(decode=True) for part in message_from_bytes(mail).walk()}
    body = Commands(one.engine, clock=one.clock, estate=one.estate).snapshots.file(CHIEF, asked, BOARD_PACK).body
    assert parts["board-pack-2026-W47.pdf"] == body


def test_only_who_reaches_the_whole_group_may_read_or_make_one(one: Firm) -> None:
    asked = one.ask()
    commands = Commands(one.engine, clock=one.clock, estate=one.estate).snapshots
    limited = reads(one).within(BRITISH)
    for call in (
        lambda: commands.make(BRITISH), lambda: commands.file(BRITISH, asked, MANIFEST), limited.snapshots,
        lambda: limited.snapshot(asked), lambda: limited.snapshot_diff(one.week, one.week),
    ):  # fmt: skip
        with pytest.raises(Forbidden, match="whole group"):
            call()
    assert reads(one).within(CHIEF).snapshots().total == 1
    assert commands.make(CHIEF).week == one.week
    with pytest.raises(NotFound):
        commands.file(CHIEF, asked, MANIFEST)
    with pytest.raises(InvalidInput, match="no Monday"):
        commands.make(CHIEF, week=one.week + timedelta(days=1))
    with pytest.raises(InvalidInput, match="not begun"):
        commands.make(CHIEF, week=one.week + timedelta(days=14))
    with pytest.raises(InvalidInput, match="as_of"):
        commands.make(CHIEF, as_of=one.clock.now() + timedelta(days=1))


def test_two_weeks_are_compared_by_their_newest_snapshots(one: Firm) -> None:
    earlier = one.week - timedelta(days=7)
    for week in (earlier, one.week):
        one.ask(week=week)
        one.maker.make_next()
    one.later(timedelta(hours=1))
    late_events(one, 300)
    one.caught_up()
    newest = one.ask()
    one.maker.make_next()
    with one.engine.begin() as conn:
        conn.execute(sa.text("""
            UPDATE metrics.snapshot SET headlines = (
                SELECT jsonb_agg(CASE WHEN e ->> 'slug' = 'cycle-time' THEN e || '{"version": 0}' ELSE e END)
                FROM jsonb_array_elements(headlines) AS e) WHERE week = :week"""), {"week": earlier})  # fmt: skip
    found = reads(one).snapshot_diff(earlier, one.week)
    assert found is not None
    assert found.other_id == newest
    changed = {kpi.slug: kpi for kpi in found.kpis}
    assert changed["cycle-time"].definition_changed
    assert not changed["auto-provisioned"].definition_changed
    for kpi in found.kpis:
        if kpi.value is not None and kpi.other is not None:
            assert kpi.change == kpi.other - kpi.value
    assert reads(one).snapshot_diff(earlier, date(2020, 1, 6)) is None


@pytest.mark.parametrize("text", ["deliver = ['s3://key:secret@bucket']", "deliver = ['board']", "deliver = ['file://']",
                                  "deliver = ['s3://b?x=1']", "mail_env = ['mailto://x']", "deliver = ['home', 'home']",
                                  "at = 'noon'", "sent = true"])  # fmt: skip
def test_an_estate_that_would_send_it_nowhere_or_tell_a_secret_is_refused(text: str) -> None:
    with pytest.raises(InvalidEstate):
        load(f"{rows.ESTATE_TEXT}\n[snapshot]\n{text}\n")


def test_an_estate_says_where_it_goes(tmp_path: Path) -> None:
    policy = load(f"""{rows.ESTATE_TEXT}
[snapshot]
at = 05:30:00
deliver = ["home", "s3://board/packs"]
mail_env = ["BOARD_MAIL"]
secret_env = {{ s3 = "BOARD_S3" }}
""").snapshot
    assert (policy.at.hour, policy.deliver[1], policy.secret_env["s3"]) == (5, "s3://board/packs", "BOARD_S3")
