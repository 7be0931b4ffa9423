"""Tryton's side of a test: finance looking into it and billing there, and a connection that loses answers."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from decimal import Decimal
from types import TracebackType
from typing import cast

import httpx
from httpx_aiohttp import AiohttpTransport

from app.sandbox.tryton_rpc import Row, TrytonRpc, Value
from app.sandbox.tryton_server import TrytonEndpoint
from sync_core.desired import Kind
from sync_core.estate.estate import Erp

_CREATES = {
    Kind.CUSTOMER: (b"model.party.party.create", b""),
    Kind.LABOUR_CATEGORY: (b"model.product.template.create", b'"default_uom"'),
    Kind.PROJECT: (b"model.project.work.create", b'"type":"project"'),
    Kind.CONTRACT_LINE: (b"model.project.work.create", b"#L:"),
    Kind.MILESTONE: (b"model.project.work.create", b"#M:"),
    Kind.LABOUR_RATE: (b"model.project.work.create", b"#R:"),
}
INVOICED_ON = date(2026, 6, 1)


def tryton_erp(endpoint: TrytonEndpoint, **options: str) -> Erp:
    """As the estate file names it. A settle time for tests: the server is ours, and idle between them."""
    return Erp(
        name="tryton",
        kind="tryton",
        url=f"{endpoint.base_url}/{endpoint.database}",
        user=endpoint.login,
        timeout_s=30,
        max_in_flight=4,
        options={"settle_s": "0.2", **options},
    )


class ForgetfulTransport(httpx.AsyncBaseTransport):
    """Sends all requests; the answer of the next create of a kind arrives, was obeyed, and is lost here."""

    def __init__(self) -> None:
        self._transport = AiohttpTransport()
        self._lost: list[tuple[bytes, bytes]] = []
        self.lost = 0

    def lose_answer_of_create(self, kind: Kind) -> None:
        self._lost.append(_CREATES[kind])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        sent = await request.aread()
        for marks in self._lost:
            if all(mark in sent for mark in marks):
                self._lost.remove(marks)
                self.lost += 1
                await response.aread()
                raise httpx.ReadTimeout("the answer was lost on its way", request=request)
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


class Bookkeeper(AbstractContextManager["Bookkeeper"]):
    """The administrator's session: reads what is there without Tieline, and does what finance does."""

    def __init__(self, endpoint: TrytonEndpoint) -> None:
        at = endpoint
        self.rpc = TrytonRpc(at.base_url, at.database, login=at.admin_login, password=at.admin_password)
        self.company = cast("int", self.rpc.find("company.company", [["party.identifiers.code", "=", at.company_code]]))
        self.rpc.context["company"] = self.company

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rpc.close()

    def count(self, kind: Kind, key: str) -> int:
        match kind:
            case Kind.CUSTOMER:
                return len(self.rpc.rows("party.party", [["identifiers.code", "=", key]]))
            case Kind.LABOUR_CATEGORY:
                return len(self.rpc.rows("product.product", [["code", "=", key]]))
        return len(self.works(key))

    def works(self, key: str, *fields: str) -> list[Row]:
        """Projects or tasks whose comment begins with exactly this key."""
        begun = f"clm:{key}\n".replace("_", r"\_")
        return self.rpc.rows("project.work", [["comment", "like", f"{begun}%"]], fields)

    def tasks(self, contract: str, letter: str, *fields: str) -> list[Row]:
        begun = f"clm:{contract}#{letter}:".replace("_", r"\_")
        return self.rpc.rows("project.work", [["comment", "like", f"{begun}%"]], fields)

    def reach(self, *tasks: int) -> None:
        """The project manager says that these milestones are done."""
        status = self.rpc.find("project.work.status", [["progress", "=", 1.0]])
        self.rpc.write("project.work", list(tasks), {"progress": 1.0, "status": status})

    def book(self, task: int, hours: str, *, on: date = INVOICED_ON) -> None:
        work = self.rpc.find("timesheet.work", [["origin.id", "=", task, "project.work"]])
        employee = self.rpc.find("company.employee", [["company", "=", self.company]])
        worked = timedelta(seconds=float(Decimal(hours) * 3600))
        line: Row = {"employee": employee, "work": work, "date": on, "company": self.company, "duration": worked}
        self.rpc.create("timesheet.line", line)

    def invoice(self, project: int) -> list[Row]:
        """Bill what is due and post it; the new invoices."""
        before = {cast("int", row["id"]) for row in self.rpc.rows("account.invoice", [])}
        self.rpc.call("model.project.work.invoice", [project])
        made = [cast("int", row["id"]) for row in self.rpc.rows("account.invoice", []) if row["id"] not in before]
        self.post(made)
        fields = ["number", "state", "untaxed_amount", "tax_amount", "total_amount", "currency.code", "party"]
        return self.rpc.rows("account.invoice", [["id", "in", list(made)]], fields)

    def post(self, invoices: Sequence[int]) -> None:
        self.rpc.write("account.invoice", list(invoices), {"invoice_date": INVOICED_ON})
        self.rpc.call("model.account.invoice.post", list(invoices))

    def bill_milestone(self, task: int) -> None:
        self.reach(task)
        rows: list[Row] = self.rpc.rows("project.work", [["id", "=", task]], ["parent"])
        self.invoice(cast("int", rows[0]["parent"]))

    def note(self, work: int) -> str:
        found: Value = self.rpc.rows("project.work", [["id", "=", work]], ["comment"])[0]["comment"]
        return cast("str", found)

    def credit(self, invoice: int) -> None:
        """A credit note over the whole invoice, which cancels it."""
        form: Row = {"with_refund": True, "with_refund_allowed": True, "invoice_date": INVOICED_ON}
        self._on_invoice(invoice, "account.invoice.credit", "credit", form)

    def pay(self, invoice: int) -> None:
        """The customer pays all of it."""
        company: Value = ["company", "=", self.company]
        cash = self.rpc.find("account.account", [company, ["code", "=", "1.1.1"]])
        accounts: Row = {"credit_account": cash, "debit_account": cash}
        journal = self.rpc.find("account.journal", [["type", "=", "cash"]])
        method: Row = {"name": "Cash", "company": self.company, "journal": journal, **accounts}
        known = self.rpc.ensure("account.invoice.payment.method", [company], method)
        (due,) = self.rpc.rows(
            "account.invoice", [["id", "=", invoice]], ["amount_to_pay", "currency", "account", "party"]
        )
        form: Row = {
            "payment_method": known,
            "amount": due["amount_to_pay"],
            "currency": due["currency"],
            "date": INVOICED_ON,
            "company": self.company,
            "payee": due["party"],
            "payees": [due["party"]],
            "invoice_account": due["account"],
            "description": "",
        }
        self._on_invoice(invoice, "account.invoice.pay", "choice", form)

    def _on_invoice(self, invoice: int, wizard: str, state: str, form: Row) -> None:
        kept = dict(self.rpc.context)
        self.rpc.context |= {"active_model": "account.invoice", "active_ids": [invoice], "active_id": invoice}
        self.rpc.wizard(wizard).step(state, {"start": form})
        self.rpc.context = kept
