"""One known dispute and one changed assumption move page, API, command line, snapshot and /metrics by what the hand
works out; before and after, every value equals the sum of the rows behind it, wherever these are shown.
"""

import asyncio
import csv
import io
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from metrics import weeks
from metrics.measures import Measures
from sync_core.authority import Permission, person
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.commands.files import Form
from sync_core.reads import Reads
from tests import rows
from tests.app.test_cli_clients import Cli
from tests.app.test_open_metrics import WANTED, House
from tests.databases import DatabaseUrls
from tests.metrics.billing import day, dispute, invoice
from tests.metrics.snapshot.firm import Firm
from tests.metrics.support import caught_up
from tests.pages.stage import play, texts
from tests.reads.handmade import add_contract

FINANCE = person("fay@example.com", ["operator:finance_operations"])
ZONE = "Europe/London"
WEEK = weeks.week_of(rows.NOW, ZONE)
PERIOD = ("--from", "2026-W36", "--to", "2026-W48")  # the thirteen weeks up to the clock of the test
ADDS = {"dispute-rate": "disputed_reporting", "roi": "worth"}
LABELS = {"dispute-rate": "Disputed, converted", "roi": "Worth"}


@dataclass(frozen=True)
class Told:
    """What one place says: the value, and of the rows behind it the column that adds up."""

    value: Decimal
    parts: tuple[Decimal, ...]

    @property
    def total(self) -> Decimal:
        return sum(self.parts, Decimal(0))


class Places:
    """Everywhere that a number can be read, over one small firm."""

    def __init__(self, engine: sa.Engine, cli: Cli) -> None:
        self.engine, self.cli = engine, cli
        self.clock, self.estate = VirtualClock(rows.NOW), rows.estate()

    def refresh(self) -> None:
        self.clock.advance(timedelta(minutes=1))
        caught_up(self.engine, self.clock, self.estate)

    def page(self, slug: str) -> tuple[str, str, tuple[Decimal, ...]]:
        """The headline, the line above the rows, and the cells of the column that adds up."""
        measures = Measures(self.engine, clock=self.clock, estate=self.estate)
        reads = Reads(self.engine, clock=self.clock, estate=self.estate)
        shown = play("measure", reads, {"kpi": slug, "weeks": "13"}, measures=measures)
        assert not shown.error
        assert not shown.exception
        words = texts(shown).replace("\\", "")
        headline = next(line for line in words.splitlines() if line.startswith("### ")).removeprefix("### ")
        above = next(line for line in words.splitlines() if line.startswith("**") and ", in all " in line)
        [table] = [one.value for one in shown.dataframe if LABELS[slug] in one.value]
        return headline, above, tuple(Decimal(re.sub(r"[^0-9.]", "", str(cell))) for cell in table[LABELS[slug]])

    async def api(self, slug: str) -> Told:
        async with House(self.engine).door.calls(Permission.KPI_READ, Permission.CONTRACTS_READ) as program:
            period = f"from={PERIOD[1]}&to={PERIOD[3]}"
            answer = (await program.get(f"/kpis/{slug}?{period}")).json()
            found = (await program.get(f"/kpis/{slug}/rows?{period}")).json()
        assert found["adds"] == ADDS[slug]
        told = Told(_number(answer["value"]), tuple(_number(row[ADDS[slug]]) for row in found["items"]))
        assert (_number(found["total"]), found["count"]) == (told.total, len(told.parts))
        return told

    def command_line(self, slug: str) -> Decimal:
        return _number(json.loads(self.cli.said("kpi", slug, *PERIOD, "--json"))["value"])

    def snapshot(self) -> dict[str, Told]:
        files = Firm(self.engine, self.clock, self.estate).made(week=WEEK).files

        def table(name: str) -> list[dict[str, str]]:
            return list(csv.DictReader(io.StringIO(files[f"{name}.csv"].decode("utf-8-sig"))))

        values = {line["kpi"]: Decimal(line["value"].lstrip("'")) for line in table("kpis") if line["kpi"] in ADDS}
        return {
            slug: Told(value, tuple(Decimal(line[ADDS[slug]].lstrip("'")) for line in table(f"rows-{slug}")))
            for slug, value in values.items()
        }

    async def metrics(self) -> dict[str, Decimal]:
        return {
            sample.labels["kpi"]: Decimal(str(sample.value))
            for family in openmetrics((await House(self.engine).get(WANTED)).text)  # type: ignore[no-untyped-call]
            for sample in family.samples
            if sample.name == "tieline_kpi_value" and sample.labels["window"] == "13_weeks"
        }

    async def agree(self, *, rate: str, disputed: list[str], saved: str, lines: list[str]) -> None:
        """Every place says these values, and shows exactly these parts of them, the largest first."""
        wanted = {
            "dispute-rate": Told(Decimal(rate), tuple(map(Decimal, disputed))),
            "roi": Told(Decimal(saved), tuple(map(Decimal, lines))),
        }
        told, made = await self.metrics(), await asyncio.to_thread(self.snapshot)
        for slug, one in wanted.items():
            assert await self.api(slug) == one, slug
            assert made[slug] == one, slug
            assert told[slug] == one.value, slug
            assert await asyncio.to_thread(self.command_line, slug) == one.value, slug
            headline, above, parts = self.page(slug)
            assert parts == one.parts, slug
            assert above.endswith(f" in all ${one.total:.0f}"), slug
            assert headline == (f"{one.value * 100:.1f}%" if slug == "dispute-rate" else f"${one.value:.0f}"), slug
        # The value and its rows: one disputed invoice a row of ten issued, and the lines of the saving.
        assert wanted["dispute-rate"].value == Decimal(len(disputed)) / 10
        assert wanted["roi"].value == wanted["roi"].total


def _number(shown: object) -> Decimal:
    return Decimal(str(shown["amount"] if isinstance(shown, dict) else shown))


def _firm(engine: sa.Engine) -> None:
    """Ten invoices of two contracts, one of them disputed; rates 1 and 1.25."""
    signed = day("2026-09-08")
    for entity, currency, refs, amount in (
        ("US01", "USD", range(1, 7), "1000.00"), ("GB01", "GBP", range(7, 11), "2000.00"),
    ):  # fmt: skip
        contract = add_contract(
            engine, signed=None, state="active", signed_at=signed, first_active_at=signed + timedelta(hours=3),
            received_at=signed, legal_entity=entity, currency=currency, billing="milestones",
        )  # fmt: skip
        for number in refs:
            invoice(engine, contract, f"I-{number}", amount, "2026-09-14", currency=currency)
        if entity == "GB01":
            dispute(engine, contract, "I-8", "400.00", "2026-10-01", currency=currency)


def _stated(commands: Commands) -> None:
    finance = commands.finance
    finance.import_rates(FINANCE, b"currency,valid_on,rate\nGBP,2026-09-01,1.25\n", Form.CSV)
    finance.import_baseline(
        FINANCE, b"name,value,reason\ndispute_rate,0.3,year before\ntouches_per_contract,4,year before\n", Form.CSV
    )
    prices = b"name,value,reason\ncost_of_dispute,120,x\nhours_of_touch,0.5,x\ncost_of_hour,80,x\n"
    finance.import_assumptions(FINANCE, prices, Form.CSV)


@pytest.mark.timeout(600)
async def test_a_dispute_and_an_assumption_move_every_place_by_the_same_known_amount(
    database: sa.Engine, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    cli = Cli(tmp_path, database_urls, rows.ESTATE_TEXT)
    places = Places(database, cli)
    _firm(database)
    _stated(Commands(database, clock=places.clock, estate=places.estate))
    places.refresh()

    # 1 of 10 invoices; 400.00 GBP at 1.25 is 500.00. Touches: (4 before - 0 now) x 2 contracts x 0.5 h x 80 = 320.
    # Disputes: (0.3 x 10 - 1) x 120 = 240. Together 560.
    await places.agree(rate="0.1", disputed=["500.00"], saved="560.00", lines=["320.00", "240.00"])

    file = "dispute;invoice;raised_on;status;amount;currency;cause\nD-7;I-3;2026-10-20;raised;250.00;USD;rate\n"
    async with House(database).door.calls(Permission.FINANCE_WRITE) as program:
        done = await program.post("/finance/disputes", content=file, headers={"content-type": "text/csv"})
    assert (done.status_code, done.json()["stored"]) == (201, 1)
    places.refresh()
    # One more of 10: + 0.1. 250.00 USD more in dispute: + 250. One dispute more at 120: - 120.
    await places.agree(rate="0.2", disputed=["500.00", "250.00"], saved="440.00", lines=["320.00", "120.00"])

    price = tmp_path / "prices.csv"
    price.write_text("name,value,reason\ncost_of_dispute,150,finance handbook of 2027\n")
    assert "1 of 1 rows of assumptions" in cli.said("assumptions", "import", str(price))
    places.refresh()
    # (0.3 x 10 - 2) = 1 dispute less than before, now worth 150 instead of 120: + 30. The rate stands.
    await places.agree(rate="0.2", disputed=["500.00", "250.00"], saved="470.00", lines=["320.00", "150.00"])
