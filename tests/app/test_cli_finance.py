"""`tieline rates`, `disputes`, `baseline` and `assumptions` as an operator types them, with the files of the manual."""

import json
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.cli.actor import operator_of_this_machine
from app.cli.refusals import Exit
from sync_core.commands.disputes import DISPUTE_COLUMNS
from sync_core.commands.finance import RATE_COLUMNS
from sync_core.finance import DISPUTE_CAUSES, DISPUTE_STATES, NUMBERS
from tests.app.test_cli import refused
from tests.app.test_cli_clients import Cli
from tests.databases import DatabaseUrls
from tests.metrics.billing import invoice
from tests.reads.handmade import add_contract
from tests.rows import ESTATE_TEXT

MANUAL = (Path(__file__).parents[2] / "docs" / "finance_data.md").read_text(encoding="utf-8")


@pytest.fixture
def cli(tmp_path: Path, database_urls: DatabaseUrls) -> Cli:
    return Cli(tmp_path, database_urls, ESTATE_TEXT)


def example(first: str) -> str:
    """The block of the manual that begins with this."""
    [found] = [block for block in re.findall(r"```\n(.*?)```", MANUAL, re.S) if block.startswith(first)]
    return str(found)


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_the_files_of_the_manual_are_taken_in(cli: Cli, tmp_path: Path, database: sa.Engine) -> None:
    rates = written(tmp_path, "rates.csv", example("currency,"))
    assert "2 of 2 rows of rates said something new" in cli.said("rates", "import", rates)
    assert "imported before; nothing was stored" in cli.said("rates", "import", rates)
    listed = json.loads(cli.said("rates", "list", "--json"))
    assert {row["currency"]: row["rate"] for row in listed} == {"GBP": "1.2875", "JPY": "0.0065"}
    assert "0.0065" in cli.said("rates", "list", "--currency", "jpy")
    assert json.loads(cli.said("rates", "list", "--as-of", "2020-01-01T00:00:00Z", "--json")) == []

    invoice(database, add_contract(database, took=1.0), "INV-104", "5000", "2026-10-01")
    disputes = written(tmp_path, "disputes.csv", example("dispute,"))
    assert "1 of 1 rows of disputes" in cli.said("disputes", "import", disputes)

    number = json.dumps([{"name": "dispute_rate", "value": 0.06, "reason": "billing report"}])
    assert "1 of 1 rows of baseline" in cli.said("baseline", "import", written(tmp_path, "b.json", number))
    price = "name;value;reason\ncost_of_dispute;450;finance handbook\n"
    assert "1 of 1 rows of assumptions" in cli.said("assumptions", "import", written(tmp_path, "a.csv", price))
    assert "0.06" in cli.said("baseline", "show")
    shown = {row["name"]: row["value"] for row in json.loads(cli.said("assumptions", "show", "--json"))}
    assert (shown["cost_of_dispute"], shown["cost_of_hour"]) == ("450", None)
    assert "not stated" in cli.said("assumptions", "show")
    with database.connect() as conn:
        found = conn.execute(sa.text("SELECT actor, action FROM core.audit ORDER BY id")).all()
    assert {row.actor for row in found} == {operator_of_this_machine().name}
    assert [row.action for row in found] == [
        "rates.import", "rates.import", "disputes.import", "baseline.import", "assumptions.import",
    ]  # fmt: skip


def test_a_bad_file_is_one_sentence_with_its_line(cli: Cli, tmp_path: Path) -> None:
    bad = written(tmp_path, "rates.csv", "currency,valid_on,rate\nGBP,2026-11-01,1,2875\n")
    refused(cli("rates", "import", bad), Exit.USAGE, "line 2: 4 values for 3 columns")
    assert cli("rates", "import", written(tmp_path, "rates.xlsx", "")).returncode == Exit.USAGE
    assert cli("rates", "import", str(tmp_path / "none.csv")).returncode == Exit.USAGE
    assert cli("rates", "list", "--as-of", "yesterday").returncode == Exit.USAGE
    assert cli("rates", "list", "--as-of", "2026-11-01T00:00:00").returncode == Exit.USAGE


def test_the_manual_names_all_there_is() -> None:
    names = [*RATE_COLUMNS, *DISPUTE_COLUMNS, *DISPUTE_CAUSES, *DISPUTE_STATES]
    names += [name for numbers in NUMBERS.values() for name in numbers]
    assert [name for name in names if f"`{name}`" not in MANUAL] == []
