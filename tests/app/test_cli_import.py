"""`tieline import ocds` as an operator types it."""

import csv
import gzip
import io
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.cli.refusals import Exit
from sync_core.money import quantum
from sync_core.ocds.findings import Why
from sync_core.ocds.rules import OPTIONS
from tests.app.test_cli import refused
from tests.app.test_cli_clients import Cli
from tests.databases import DatabaseUrls
from tests.ocds.releases import contract, lines, release
from tests.sows import ESTATE_TOML

MANUAL = (Path(__file__).parents[2] / "docs" / "import.md").read_text(encoding="utf-8")
DATA = os.environ.get("TIELINE_OCDS_DATA")
OURS = """
[[clm]]
name = "public"
source = "urn:test:ocds"
kind = "ocds"
"""
NONE = {"contracts": 0, "amendments": 0, "findings": 0, "repeats": 0}


@pytest.fixture
def cli(tmp_path: Path, database_urls: DatabaseUrls) -> Cli:
    return Cli(tmp_path, database_urls, ESTATE_TOML + OURS)


def counted(cli: Cli, file: Path, *options: str) -> dict[str, int]:
    found: dict[str, int] = json.loads(cli.said("import", "ocds", str(file), "--json", *options))
    return found


def test_a_file_is_taken_in_once_in_every_form(cli: Cli, tmp_path: Path, database: sa.Engine) -> None:
    amended = release("r-2", "2025-04-05T12:00:00Z", contracts=[contract(value={"amount": 1500, "currency": "USD"})])
    plain = b"".join(lines(release(), amended, release("r-3", "2025-05-05T12:00:00Z", contracts=[])))
    (tmp_path / "a.jsonl").write_bytes(plain)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(plain))
    (tmp_path / "a.json").write_text(
        json.dumps({"releases": [json.loads(line) for line in plain.splitlines()]}, indent=1)
    )

    brought = {"contracts": 1, "amendments": 1, "findings": 1, "repeats": 0}
    assert counted(cli, tmp_path / "a.jsonl", "--dry-run") == brought
    assert counted(cli, tmp_path / "a.jsonl") == brought
    for name in ("a.jsonl", "a.jsonl.gz", "a.json"):
        assert counted(cli, tmp_path / name) == NONE | {"findings": 1, "repeats": 2}
    with database.connect() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM core.event")) == 2


def test_a_dry_run_shows_what_each_would_become(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(
        b"".join(
            lines(release(buyer={"id": "[red]B-1"}, contracts=[contract(suppliers=[{"id": "null", "name": "S-1"}])]))
        )
    )
    shown = cli.said("import", "ocds", str(tmp_path / "a.jsonl"), "--dry-run")
    for words in ("r-1", "contract", "ocds-test-1:1", "1,200.50 USD", "[red]B-1", "S-1", "legal_entity_unknown"):
        assert words in shown
    assert "1 releases: 1 contracts, 0 amendments, 0 findings, 0 repeats; nothing was stored" in shown
    assert "1 waits for legal_entity_unknown" in shown


def test_findings_are_told_and_written_for_a_spreadsheet(cli: Cli, tmp_path: Path) -> None:
    wrong = [release(f"r-{n}", contracts=[contract(id="=1+1", value=None)]) for n in range(25)]
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines(*wrong)) + b"{broken\n")
    told = cli("import", "ocds", str(tmp_path / "a.jsonl"), "--findings", str(tmp_path / "f.csv"))
    assert told.returncode == 0
    assert "26 releases: 0 contracts, 0 amendments, 26 findings, 0 repeats" in told.stdout
    assert "value_missing: line 1 (ocds-test-1 r-0), contract =1+1: neither the contract nor its award" in told.stderr
    assert "and 6 more" in told.stderr
    found = list(csv.DictReader(io.StringIO((tmp_path / "f.csv").read_text(encoding="utf-8-sig"))))
    assert [row["finding"] for row in found] == ["value_missing"] * 25 + ["not_json"]
    assert (found[0]["release"], found[0]["contract"], found[-1]["where"]) == ("r-0", "'=1+1", "line 26")


def test_what_cannot_be_read_or_is_not_set_up_is_one_sentence(
    cli: Cli, tmp_path: Path, database_urls: DatabaseUrls
) -> None:
    assert cli("import", "ocds", str(tmp_path / "none.jsonl")).returncode == Exit.USAGE
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b"".join(lines(*(release(f"r-{n}") for n in range(200)))))[:-40])
    refused(cli("import", "ocds", str(cut)), Exit.REFUSED, "cannot be unpacked")
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines(release())))
    refused(cli("import", "ocds", str(tmp_path / "a.jsonl"), "--source", "clm"), Exit.SETTINGS, "no [[clm]] clm")
    (tmp_path / "awards.csv").write_text("ocid,id,value\nocds-1,1,5\nocds-2,1,7\n")
    for more in ((), ("--dry-run",), ("--json",)):
        refused(cli("import", "ocds", str(tmp_path / "awards.csv"), *more), Exit.USAGE, "awards.csv holds no release")
    bare = Cli(tmp_path, database_urls, ESTATE_TOML)
    refused(bare("import", "ocds", str(tmp_path / "a.jsonl")), Exit.SETTINGS, "docs/import.md")
    two = Cli(tmp_path, database_urls, ESTATE_TOML + OURS + OURS.replace("public", "other").replace(":ocds", ":o"))
    refused(two("import", "ocds", str(tmp_path / "a.jsonl")), Exit.SETTINGS, "choose one by --source")
    assert counted(two, tmp_path / "a.jsonl", "--source", "other")["contracts"] == 1


@pytest.mark.skipif(DATA is None, reason="TIELINE_OCDS_DATA names no folder with public releases (*.jsonl)")
def test_public_releases_are_contracts_with_the_amounts_of_the_file(cli: Cli, database: sa.Engine) -> None:
    files = sorted(Path(DATA or "").glob("*ocds*.jsonl"))
    assert files
    for file in files:
        told = [json.loads(line, parse_float=Decimal) for line in file.read_text(encoding="utf-8").splitlines()]
        different = {(one["ocid"], one["id"]) for one in told}
        brought = {"contracts": len(different), "repeats": len(told) - len(different)}
        assert counted(cli, file) == NONE | brought
        assert counted(cli, file) == NONE | {"repeats": len(told)}
        stated = {f"{one['ocid']}:{c['id']}": c["value"] for one in told for c in one["contracts"]}
        with database.connect() as conn:
            query = sa.text("SELECT external_id, value, currency FROM core.contract WHERE external_id = ANY(:ids)")
            held = {row.external_id: row for row in conn.execute(query, {"ids": list(stated)})}
        assert held.keys() == stated.keys()
        for name, value in stated.items():
            assert (held[name].value, held[name].currency) == (Decimal(value["amount"]), value["currency"])
            assert held[name].value == held[name].value.quantize(quantum(held[name].currency))


def test_the_manual_names_all_there_is() -> None:
    assert [name for name in (*OPTIONS, *Why) if f"`{name}`" not in MANUAL] == []
