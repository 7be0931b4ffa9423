"""The auditors' commands as a person or a script uses them: real processes, exit codes, one sentence on stderr."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest

from app.cli.refusals import Exit
from tests import rows
from tests.app.forked import tieline
from tests.app.test_cli import refused
from tests.databases import DatabaseUrls

CONTRACT = "C-90"  # n mod 1000 from 66 to 95 have ended


@pytest.fixture
def urls(database_urls: DatabaseUrls) -> Mapping[str, str]:
    """150 contracts, one of which got a legal hold by the command line."""
    rows.seed(database_urls.owner, 150)
    return {"DATABASE_URL": database_urls.app_libpq, "TIELINE_DATABASE_OWNER_URL": database_urls.owner_libpq}


def contract_id(urls: Mapping[str, str]) -> str:
    with psycopg.connect(urls["DATABASE_URL"]) as conn:
        found = conn.execute("SELECT contract_id FROM core.contract WHERE external_id = %s", [CONTRACT]).fetchone()
    assert found is not None
    return str(found[0])


def tamper(urls: Mapping[str, str], statement: bytes) -> None:
    with psycopg.connect(urls["TIELINE_DATABASE_OWNER_URL"]) as conn:
        conn.execute(statement)


def test_from_a_hold_to_signed_evidence_and_to_the_one_who_tampers(tmp_path: Path, urls: Mapping[str, str]) -> None:
    home, folder = tmp_path / "home", tmp_path / "evidence"
    held = contract_id(urls)
    assert tieline(home, "hold", "place", held, "--reason", "litigation in Leeds", **urls).stdout == "placed: 1\n"
    listed = json.loads(tieline(home, "hold", "list", "--json", **urls).stdout)
    assert [(one["external_id"], one["placed_by"].partition(":")[0]) for one in listed] == [(CONTRACT, "cli")]

    public = tieline(home, "audit", "key", **urls).stdout
    assert public.startswith("-----BEGIN PUBLIC KEY-----")
    assert stat.S_IMODE((home / "secrets.toml").stat().st_mode) == 0o600
    (tmp_path / "key.pem").write_text(public)
    made = json.loads(tieline(home, "audit", "checkpoint", **urls).stdout)
    assert (made["id"], made["rows"], len(list((home / "checkpoints").glob("*.json")))) == (1, 1, 1)
    whole = tieline(home, "audit", "verify", **urls)
    assert whole.stdout == "The audit is whole: 1 rows, 1 checkpoint agrees.\n"

    done = tieline(home, "evidence", CONTRACT, "--out", str(folder), **urls)
    assert done.returncode == 0, done.stderr
    refused(tieline(home, "evidence", CONTRACT, "--out", str(folder), **urls), Exit.REFUSED, "not empty")
    checked = tieline(tmp_path / "elsewhere", "evidence-verify", str(folder), "--key", str(tmp_path / "key.pem"))
    assert f"The evidence of {CONTRACT}" in checked.stdout
    (folder / "events.jsonl").write_text("")
    broken = tieline(tmp_path / "elsewhere", "evidence-verify", str(folder))
    refused(broken, Exit.EVIDENCE_BROKEN, "events.jsonl was changed")

    tamper(urls, b"UPDATE core.audit SET reason = 'nothing of note' WHERE id = 1")
    refused(tieline(home, "audit", "verify", **urls), Exit.AUDIT_BROKEN, "row 1 was changed")
    told = tieline(home, "audit", "verify", "--json", **urls)
    assert {name: json.loads(told.stdout)[name] for name in ("whole", "flaw", "row")} == {
        "whole": False,
        "flaw": "changed",
        "row": 1,
    }
    refused(tieline(home, "audit", "checkpoint", **urls), Exit.AUDIT_BROKEN, "nothing was signed")


def test_the_page_knows_at_once_what_was_verified_and_signed_by_hand(tmp_path: Path, urls: Mapping[str, str]) -> None:
    tieline(tmp_path, "hold", "place", contract_id(urls), "--reason", "litigation in Leeds", **urls)
    assert known(urls) is None
    tieline(tmp_path, "audit", "verify", **urls)
    assert known(urls) == {"whole": True, "rows": 1, "checkpoints": 0, "message": "", "row_id": None}
    tieline(tmp_path, "audit", "checkpoint", "--out", str(tmp_path / "mine.json"), **urls)
    assert known(urls) == {"whole": True, "rows": 1, "checkpoints": 0, "message": "", "row_id": None}
    tieline(tmp_path, "audit", "checkpoint", **urls)
    assert known(urls) == {"whole": True, "rows": 1, "checkpoints": 1, "message": "", "row_id": None}
    tieline(tmp_path, "hold", "release", "1", "--reason", "it is settled", **urls)  # else the same file within a second
    tieline(tmp_path, "audit", "checkpoint", **urls)
    assert known(urls) == {"whole": True, "rows": 2, "checkpoints": 2, "message": "", "row_id": None}
    tamper(urls, b"UPDATE core.audit SET reason = 'nothing of note' WHERE id = 1")
    tieline(tmp_path, "audit", "verify", "--checkpoint", str(tmp_path / "mine.json"), **urls)
    assert (known(urls) or {})["whole"]  # only what the folder's own checkpoints say stands on the page
    tieline(tmp_path, "audit", "verify", **urls)
    assert [(known(urls) or {})[name] for name in ("whole", "row_id")] == [False, 1]


def known(urls: Mapping[str, str]) -> dict[str, object] | None:
    """What the page Audit reads."""
    with psycopg.connect(urls["DATABASE_URL"]) as conn:
        found = conn.execute("SELECT value FROM core.watermark WHERE name = 'audit.verified'").fetchone()
    return None if found is None else json.loads(found[0])


def test_a_tail_cut_off_with_its_head_is_found_by_the_checkpoint_in_the_home(
    tmp_path: Path, urls: Mapping[str, str]
) -> None:
    home = tmp_path / "home"
    tieline(home, "hold", "place", contract_id(urls), "--reason", "litigation in Leeds", **urls)
    assert tieline(home, "audit", "checkpoint", "--out", str(tmp_path / "mine.json"), **urls).returncode == 0
    tamper(urls, b"DELETE FROM core.audit")
    tamper(urls, b"UPDATE core.audit_head SET id = 0, hash = decode(repeat('00', 32), 'hex')")
    assert tieline(home, "audit", "verify", **urls).returncode == 0
    cut = tieline(home, "audit", "verify", "--checkpoint", str(tmp_path / "mine.json"), **urls)
    refused(cut, Exit.AUDIT_BROKEN, "the tail was cut off after row 0: a signed checkpoint saw row 1")
    other = {**urls, "TIELINE_AUDIT_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    strange = tieline(home, "audit", "verify", "--checkpoint", str(tmp_path / "mine.json"), **other)
    refused(strange, Exit.AUDIT_BROKEN, "mine.json is signed with key", "not trusted here")
    refused(tieline(home, "audit", "key", TIELINE_AUDIT_KEY="x", **urls), Exit.SETTINGS, "TIELINE_AUDIT_KEY")


def test_retention_shows_first_needs_the_owner_and_a_reason_and_honours_holds(
    tmp_path: Path, urls: Mapping[str, str]
) -> None:
    held = contract_id(urls)
    tieline(tmp_path, "hold", "place", held, "--reason", "litigation in Leeds", **urls)
    day = ["retention", "--ended-before", "2026-11-24"]
    shown = json.loads(tieline(tmp_path, *day, "--json", **urls).stdout)
    assert (shown["contracts"], shown["held"], shown["held_ids"]) == (29, 1, [CONTRACT])
    assert "Nothing was deleted" in tieline(tmp_path, *day, **urls).stdout
    refused(tieline(tmp_path, *day, "--apply", **urls), Exit.USAGE, "say why")
    application = {"DATABASE_URL": urls["DATABASE_URL"]}
    reason = ["--apply", "--reason", "ten years are over"]
    refused(tieline(tmp_path, *day, *reason, **application), Exit.NOT_OURS, "TIELINE_DATABASE_OWNER_URL")
    done = tieline(tmp_path, *day, *reason, **urls)
    assert done.stdout == "29 contracts deleted in 1 batches, 1 kept by a legal hold.\n"
    assert contract_id(urls) == held
    assert tieline(tmp_path, "audit", "verify", **urls).stdout.startswith("The audit is whole: 2 rows")
    refused(
        tieline(tmp_path, "hold", "release", "7", "--reason", "it is over", **urls), Exit.REFUSED, "no legal hold 7"
    )
