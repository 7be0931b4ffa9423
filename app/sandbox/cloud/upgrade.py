"""What a release of the ERP calls its fields: a test or the demo upgrades it while it is in use.

Records are kept under the names of v1; those of the wire are another matter. A name that a release took away is
unknown to it, as anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.sandbox.cloud.hours import FIELDS as RATE_FIELDS
from app.sandbox.cloud.problems import invalid
from app.sandbox.cloud.records import BY_KIND, BY_PATH
from app.sandbox.cloud.revenue import FIELDS as _POSTING

API = "v1"
_FACT = ("kind", "ref", "project_external_id", "amount", "currency", "date", "status", "invoice_id")
_REFERENCES = (
    "legal_entity", "tax_profile", "customer_tax_profile", "payment_terms", "missing_revenue_categories",
    "open_period",
)  # fmt: skip


@dataclass(slots=True)
class Names:
    """`renamed`: by kind of record, the name in v1 and the one on the wire. `api`: the version of the interface.
    `ledger`: whether this release has one of revenue.
    """

    renamed: dict[str, dict[str, str]] = field(default_factory=dict)
    api: str = API
    ledger: bool = True

    def outward(self, kind: str, body: object) -> object:
        """A body of ours as it is answered."""
        if isinstance(body, list):
            return [self.outward(kind, item) for item in body]
        if not isinstance(body, dict) or not self.renamed:
            return body
        names = self.renamed.get(kind, {})
        return {names.get(name, name): self.outward(_inner(kind, name), value) for name, value in body.items()}

    def inward(self, kind: str, body: object) -> object:
        """A body that was sent, in our names. Raises the ERP's own refusal of a name that is gone."""
        if isinstance(body, list):
            return [self.inward(kind, item) for item in body]
        if not isinstance(body, dict) or not self.renamed:
            return body
        names = self.renamed.get(kind, {})
        if gone := sorted(names.keys() & body.keys()):
            raise invalid("unknown_field", f"{kind} has no field {', '.join(gone)}")
        ours = {theirs: name for name, theirs in names.items()}
        return {ours.get(name, name): self.inward(_inner(kind, name), value) for name, value in body.items()}

    def described(self) -> dict[str, object]:
        """GET /v1/fields: the fields of each record."""
        held = {record.kind: [*_born(record.kind), *record.fields] for record in BY_KIND.values()}
        fields = {kind: [self.renamed.get(kind, {}).get(name, name) for name in names] for kind, names in held.items()}
        others = {"fact": list(_FACT), "references": list(_REFERENCES)}
        others |= {"revenue_posting": list(_POSTING)} if self.ledger else {}
        return {"api": [self.api], "records": {**fields, **others}}


def renamed_of(body: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """Of an upgrade that somebody asks for: {"project": {"purchase_order": "po_reference"}}."""
    found: dict[str, dict[str, str]] = {}
    for kind, names in body.items():
        if kind not in BY_KIND or not isinstance(names, dict):
            raise invalid("invalid_field", f"renames: {kind} is no kind of record with an object of names")
        if unknown := sorted(set(names) - set(BY_KIND[kind].fields)):
            raise invalid("unknown_field", f"{kind} has no field {', '.join(unknown)}")
        found[kind] = {str(name): str(theirs) for name, theirs in names.items()}
    return found


def _inner(kind: str, name: str) -> str:
    """Of which kind the records below a name are."""
    if name == "items":
        return kind
    return BY_PATH[name].kind if name in BY_PATH else ""


def _born(kind: str) -> tuple[str, ...]:
    if kind == "project":
        return ("id", "external_id", "customer_id", "status", "lines", "milestones", "rates")
    born = ("id", "external_id", "project_id", "billed") if BY_KIND[kind].part else ("id", "external_id")
    return (*born, *RATE_FIELDS) if kind == "labour_rate" else born
