"""Which fields of Tryton's models this connector reads, searches by and writes, and whether Tryton still has them.

Asked by `fields_get`, which leaves out a field that a release or a module took away, and a link to records that our
user may not read. Tryton tells its release to nobody who does not ask, so it is asked for each minute, before the first
write of a process and after a write on which it failed without saying why.
"""

from collections.abc import Mapping
from typing import Final

from sync_core.connectors.answers import Json
from sync_core.connectors.erp.tryton.rpc import Rpc, side_by_side
from sync_core.errors import ErpAnswerIncomplete
from sync_core.lanes.answers_needed import Needs, require
from sync_core.ports import CallContext

MODULE: Final = "project_invoice"  # the one that it needs most
_SERIES: Final = ("8",)
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    model: frozenset(names.split())
    for model, names in {
        "account.account": "code",
        "account.invoice": "type number state invoice_date reconciled currency last_modified_at lines",
        "account.invoice.line": "amount origin invoice",
        "account.invoice.payment_term": "name",
        "account.period": "company start_date end_date type state",
        "account.tax": "company parent active description rate",
        "account.tax.rule": "name",
        "company.company": "party currency",
        "currency.currency": "code",
        "party.identifier": "code",
        "party.party": "name identifiers customer_tax_rule addresses",
        "product.category": "code name accounting account_revenue customer_taxes",
        "product.product": "code name account_category default_uom",
        "product.template": "code name type default_uom list_price account_category products",
        "product.uom": "symbol",
        "project.work": "comment name number type parent party company project_invoice_method invoice_method "
        "list_price effort_duration product invoice_line invoiced_amount amount_to_invoice progress status "
        "timesheet_available timesheet_duration timesheet_end_date timesheet_works",
        "project.work.status": "types progress default",
        "timesheet.line": "invoice_line",
        "timesheet.work": "timesheet_lines",
    }.items()
}
NEEDS: Final = Needs(_SERIES, _FIELDS)


async def release(rpc: Rpc, ctx: CallContext) -> str | None:
    """That of the module that it needs most: the server's own is not told to a session."""
    found = await rpc.rows("version", "ir.module", [["name", "=", MODULE]], ["version"], ctx, limit=1)
    return found[0].text("version") or None if found else None


async def look(rpc: Rpc, ctx: CallContext) -> str | None:
    """The release that has all of it. Raises ErpAnswerIncomplete that names what is lacking."""
    async with side_by_side() as reads:
        told = reads.create_task(release(rpc, ctx))
        asked = {
            model: reads.create_task(rpc.ask("fields.read", f"model.{model}.fields_get", [None, 0], ctx))
            for model in _FIELDS
        }
    held = {model: _names(rpc.system, model, read.result()) for model, read in asked.items()}
    version = told.result()
    require(rpc.system, NEEDS, [version.partition(".")[0]] if version else [], held)
    return version


def _names(system: str, model: str, answer: Json) -> frozenset[str]:
    if not isinstance(answer, dict):
        raise ErpAnswerIncomplete(system, f"does not say which fields {model} has; compare its version with 8.2")
    return frozenset(answer)
