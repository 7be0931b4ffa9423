"""Fills a fresh Tryton database with one legal entity that contracts can be billed from.

Every step finds before it creates, so that a second run creates nothing and a run that was killed is
completed by the next. Done over RPC as the administrator.

What Tryton calls things: legal entity = company found by an identifier of its party; tax code =
`account.tax.description`; a customer's tax profile = `party.customer_tax_rule` whose name is the tax code
(the rule turns the default tax of a product into that tax; none means that nobody has decided the
customer's tax yet); revenue category = accounting `product.category` found by its unique `code`;
labour category = product sold by the hour; payment terms = `account.invoice.payment_term.name`.
"""

from datetime import date
from decimal import Decimal

from app.sandbox.tryton_entity import Customer, Employee, LabourCategory, LegalEntity
from app.sandbox.tryton_rpc import Row, TrytonRpc, new

CHART = ("account", "account_template_root_en")
TAX_ACCOUNT = "2.2.3"  # of the chart above: accrued taxes
EXPENSE_ACCOUNT = "5.2.1"  # cost of sales; a product category must name one
RATES_SINCE = date(2000, 1, 1)


class CompanyBooks:
    """One legal entity in one Tryton database, seen by its administrator."""

    def __init__(self, rpc: TrytonRpc, entity: LegalEntity) -> None:
        self._rpc, self._entity = rpc, entity
        self.company = self._find_company() or 0
        # A null company in the context would be cached as "this user has no company" until a restart.
        if self.company:
            rpc.context["company"] = self.company

    def fill(self, today: date) -> None:
        """Make all of it exist; fiscal years are open from the year before `today` to the year after."""
        self._open_company()
        self._open_chart()
        for year in range(today.year - 1, today.year + 2):
            self._open_year(year)
        self._add_taxes()
        self._add_terms()
        self._add_revenue_categories()
        for labour in self._entity.labour:
            self._add_labour(labour)
        for employee in self._entity.employees:
            self._add_employee(employee)
        for customer in self._entity.customers:
            self.add_customer(customer)

    def _open_company(self) -> None:
        rpc, entity = self._rpc, self._entity
        currency = rpc.ensure(
            "currency.currency",
            [["code", "=", entity.currency]],
            {
                "name": entity.currency,
                "code": entity.currency,
                "symbol": entity.currency,
                "digits": entity.digits,
                "rounding": Decimal(1).scaleb(-entity.digits),
                "rates": [new({"date": RATES_SINCE, "rate": Decimal(1)})],
            },
        )
        if not self.company:
            party = self._party(entity.code, entity.name)
            wizard = rpc.wizard("company.company.config")
            wizard.step("add", {"company": {"party": party, "currency": currency}})
            wizard.end()
            rpc.reload_context()
            self.company = self._find_company() or 0
            rpc.context["company"] = self.company

    def _find_company(self) -> int | None:
        return self._rpc.find("company.company", [["party.identifiers.code", "=", self._entity.code]])

    def _party(self, code: str, name: str) -> int:
        values: Row = {"name": name, "identifiers": [new({"code": code})]}
        return self._rpc.ensure("party.party", [["identifiers.code", "=", code]], values)

    def _open_chart(self) -> None:
        if self._rpc.find("account.account", [["company", "=", self.company]]) is None:
            template = self._rpc.call("model.ir.model.data.get_id", *CHART)
            wizard = self._rpc.wizard("account.create_chart")
            form: Row = {"company": self.company, "account_template": template}
            wizard.step("create_account", {"account": form})
            wizard.end()
        # The wizard's second step writes the same record, but cannot be taken up after a kill.
        defaults = self._rpc.rows("account.configuration", [], ["default_account_receivable"])
        if not (defaults and defaults[0]["default_account_receivable"]):
            usual: Row = {
                "default_account_receivable": self._account("1.2.1"),
                "default_account_payable": self._account("2.1.1"),
                "default_category_account_revenue": self._account("4.2.2"),
                "default_category_account_expense": self._account(EXPENSE_ACCOUNT),
            }
            self._rpc.write("account.configuration", [1], usual)

    def _account(self, code: str) -> int:
        found = self._rpc.find("account.account", [["company", "=", self.company], ["code", "=", code]])
        if found is None:
            raise LookupError(f"Tryton's chart of accounts has no account {code}; name one that it has.")
        return found

    def _sequence(self, kind: str, name: str) -> int:
        sequence_type = self._rpc.find("ir.sequence.type", [["name", "=", kind]])
        return self._rpc.ensure(
            "ir.sequence.strict",
            [["name", "=", name], ["company", "=", self.company]],
            {"name": name, "sequence_type": sequence_type, "company": self.company},
        )

    def _open_year(self, year: int) -> None:
        rpc, company = self._rpc, self.company
        first, last = date(year, 1, 1), date(year, 12, 31)
        invoices = self._sequence("Invoice", f"Invoices {self._entity.code}")
        kinds = ("out_invoice", "in_invoice", "out_credit_note", "in_credit_note")
        found = rpc.ensure(
            "account.fiscalyear",
            [["company", "=", company], ["start_date", "=", first]],
            {
                "name": str(year),
                "company": company,
                "start_date": first,
                "end_date": last,
                "move_sequence": self._sequence("Account Move", f"Moves {self._entity.code} {year}"),
                "invoice_sequences": [new({"company": company, **{f"{kind}_sequence": invoices for kind in kinds}})],
            },
        )
        if rpc.find("account.period", [["fiscalyear", "=", found]]) is None:
            rpc.call("model.account.fiscalyear.create_period", [found])

    def _add_taxes(self) -> None:
        rpc, company = self._rpc, self.company
        account = self._account(TAX_ACCOUNT)
        for tax in self._entity.taxes:
            found = rpc.ensure(
                "account.tax",
                [["company", "=", company], ["description", "=", tax.code]],
                {
                    "company": company,
                    "name": tax.name,
                    "description": tax.code,
                    "type": "percentage",
                    "rate": tax.rate,
                    "invoice_account": account,
                    "credit_note_account": account,
                },
            )
            rpc.ensure(
                "account.tax.rule",
                [["company", "=", company], ["name", "=", tax.code]],
                {
                    "company": company,
                    "name": tax.code,
                    "kind": "sale",
                    "lines": [new({"tax": found})],
                },
            )

    def _add_terms(self) -> None:
        for terms in self._entity.payment_terms:
            days = [new({"days": terms.days})]
            remainder: Row = {"type": "remainder", "relativedeltas": days}
            self._rpc.ensure(
                "account.invoice.payment_term",
                [["name", "=", terms.code]],
                {"name": terms.code, "lines": [new(remainder)]},
            )

    def _add_revenue_categories(self) -> None:
        default = self._entity.taxes[0].code
        tax = self._rpc.find("account.tax", [["company", "=", self.company], ["description", "=", default]])
        for category in self._entity.revenue_categories:
            self._rpc.ensure(
                "product.category",
                [["code", "=", category.code]],
                {
                    "code": category.code,
                    "name": category.name,
                    "accounting": True,
                    "account_revenue": self._account(category.revenue_account),
                    "account_expense": self._account(EXPENSE_ACCOUNT),
                    "customer_taxes": [["add", [tax]]],
                },
            )

    def _add_labour(self, labour: LabourCategory) -> None:
        hour = self._rpc.find("product.uom", [["name", "=", "Hour"]])
        category = self._rpc.find("product.category", [["code", "=", labour.revenue_category]])
        self._rpc.ensure(
            "product.template",
            [["code", "=", labour.code]],
            {
                "code": labour.code,
                "name": labour.name,
                "type": "service",
                "default_uom": hour,
                "list_price": labour.list_price,
                "account_category": category,
                "products": [new({})],
            },
        )

    def _add_employee(self, employee: Employee) -> None:
        cost: Row = {"date": RATES_SINCE, "cost_price": employee.hourly_cost}
        self._rpc.ensure(
            "company.employee",
            [["company", "=", self.company], ["party.identifiers.code", "=", employee.code]],
            {
                "party": self._party(employee.code, employee.name),
                "company": self.company,
                "cost_prices": [new(cost)],
            },
        )

    def add_customer(self, customer: Customer) -> int:
        """Found by its code; the tax profile of a customer that exists stays as it is."""
        found = self._rpc.find("party.party", [["identifiers.code", "=", customer.code]])
        if found is not None:
            return found
        identifiers: list[Row] = [{"code": each} for each in (customer.code, customer.tax_id) if each]
        return self._rpc.create(
            "party.party",
            {
                "name": customer.name,
                "identifiers": [new(*identifiers)],
                "addresses": [new({"invoice": True})],
                "customer_tax_rule": self._tax_rule(customer.tax_code),
            },
        )

    def set_tax_profile(self, customer: str, tax_code: str | None) -> None:
        """Give the customer the tax profile `tax_code`, or take it away with None."""
        party = self._rpc.find("party.party", [["identifiers.code", "=", customer]])
        if party is None:
            raise LookupError(f"Tryton has no customer {customer}; add the customer first.")
        self._rpc.write("party.party", [party], {"customer_tax_rule": self._tax_rule(tax_code)})

    def _tax_rule(self, tax_code: str | None) -> int | None:
        if tax_code is None:
            return None
        rule = self._rpc.find("account.tax.rule", [["company", "=", self.company], ["name", "=", tax_code]])
        if rule is None:
            raise LookupError(f"{self._entity.code} has no tax {tax_code}; add it to the legal entity.")
        return rule
