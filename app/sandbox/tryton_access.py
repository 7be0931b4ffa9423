"""The user that provisions in Tryton, and the group that allows it what provisioning needs and no more."""

from collections.abc import Mapping

from app.sandbox.tryton_rpc import TrytonRpc

SERVICE_LOGIN = "tieline"
SERVICE_GROUP = "Contract provisioning"

# Read, write, create, delete. Everyone may read companies, taxes, terms, products and write parties, but
# only "Accounting" may read invoices, and that group may post and delete them too: hence a group of our own.
ACCESS: Mapping[str, str] = {
    "project.work": "rwcd",
    "timesheet.work": "rwcd",
    "product.template": "rwc",
    "account.invoice": "r",
    "account.invoice.line": "r",
}
# Fields that Tryton guards apart from their model. A customer's tax rule is guarded too, and stays the ERP's.
FIELDS: Mapping[str, str] = {"product.template": "account_category"}
PERMISSIONS: Mapping[str, str] = {"r": "perm_read", "w": "perm_write", "c": "perm_create", "d": "perm_delete"}


def add_service_user(rpc: TrytonRpc, company: int, password: str) -> None:
    """Make the service user of `company` exist, with this password. `rpc` is an administrator's session."""
    group = rpc.ensure("res.group", [["name", "=", SERVICE_GROUP]], {"name": SERVICE_GROUP})
    for model, letters in ACCESS.items():
        rpc.ensure(
            "ir.model.access",
            [["model", "=", model], ["group", "=", group]],
            {"model": model, "group": group, **{field: key in letters for key, field in PERMISSIONS.items()}},
        )
    for model, name in FIELDS.items():
        rpc.ensure(
            "ir.model.field.access",
            [["model", "=", model], ["field", "=", name], ["group", "=", group]],
            {"model": model, "field": name, "group": group, "perm_read": True, "perm_write": True},
        )
    user = rpc.find("res.user", [["login", "=", SERVICE_LOGIN]])
    if user is not None:
        rpc.write("res.user", [user], {"password": password})
        return
    rpc.create(
        "res.user",
        {
            "name": "Tieline",
            "login": SERVICE_LOGIN,
            "password": password,
            "groups": [["add", [group]]],
            "companies": [["add", [company]]],
            "company": company,
            "company_filter": "one",
        },
    )
