"""Test only: one blocked contract with everything that hangs on it, all texts of it hostile."""

import sqlalchemy as sa

from tests.hostile import EVERYTHING, HTML, MARKDOWN
from tests.reads.handmade import add_case, add_contract, add_event, insert
from tests.rows import NOW


def hostile_contract(database: sa.Engine) -> int:
    """A contract whose every text is hostile; its id."""
    contract = add_contract(
        database, title=EVERYTHING, customer_name=EVERYTHING, service_line=HTML, geography=HTML, state="blocked",
        project_ref=MARKDOWN, last_error=EVERYTHING, external_id=HTML[:100],
    )  # fmt: skip
    add_case(database, contract, "po_missing", message=EVERYTHING)
    add_event(database, HTML[:100], HTML, "{}", correlation_id=HTML)
    insert(database, "lane", lane="cloud", breaker="open", reason=EVERYTHING, max_in_flight=4)
    insert(
        database, "run", run_id="00000000-0000-0000-0000-000000000001", contract_id=contract, rev=1, lane="cloud",
        outcome="failed", state="blocked", correlation_id=HTML, started_at=NOW, finished_at=NOW,
        recorded_at=NOW, error_class="erp_rejected", error=EVERYTHING,
    )  # fmt: skip
    insert(
        database, "operation", run_id="00000000-0000-0000-0000-000000000001", step=1, contract_id=contract,
        system="cloud", action="create", kind="project", business_key=HTML, ref=HTML, status="failed",
        started_at=NOW, finished_at=NOW, error=EVERYTHING,
    )  # fmt: skip
    insert(
        database, "crosswalk", system="cloud", kind="project", business_key=HTML, state="confirmed", ref=HTML,
        contract_id=contract, confirmed_at=NOW,
    )  # fmt: skip
    insert(
        database, "financial_fact", system="cloud", kind="invoice", ref=HTML, project_key="p", contract_id=contract,
        amount=1, currency="USD", status=HTML, occurred_on=NOW.date(), recorded_at=NOW,
    )  # fmt: skip
    return contract
