"""Snapshots that were made are delivered to every target, whole, and to none twice."""

import threading
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import fsspec
import pytest

from metrics.snapshot.delivery import Deliverer
from metrics.snapshot.package import BOARD_PACK, verify
from sync_core.commands.commands import Commands
from sync_core.errors import InvalidEstate
from sync_core.estate.estate import load
from sync_core.estate.snapshot import SnapshotPolicy
from tests import rows
from tests.metrics.snapshot.firm import CHIEF, SIGNER, Firm, reads, told


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
