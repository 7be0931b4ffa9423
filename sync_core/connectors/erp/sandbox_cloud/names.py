"""What this ERP's release calls the fields that we know under the names of v1, and which of them we need.

Estate options `field.<record>.<name of v1>` give a name that a release has changed, until a connector knows it:
`"field.project.purchase_order" = "po_reference"`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from sync_core.connectors.answers import Json, Row
from sync_core.connectors.erp.sandbox_cloud.mapping import NAMES, OPTIONAL, PARTS, PATHS
from sync_core.desired import Kind
from sync_core.errors import InvalidEstate
from sync_core.lanes.answers_needed import Needs

# For the field lineage: a part lives below its project, and a project is billable by its status.
ERP_FIELDS: Final = {
    kind: {"key": "external_id", **names, **({"billable": "status"} if kind is Kind.PROJECT else {})}
    for kind, names in NAMES.items()
}
_OPTION: Final = "field."
_ALWAYS: Final = frozenset({"id", "external_id"})
_OTHERS: Final[Mapping[str, frozenset[str]]] = {
    "fact": frozenset({"kind", "ref", "project_external_id", "amount", "currency", "date", "status", "invoice_id"}),
    "references": frozenset(
        {
            "legal_entity", "tax_profile", "customer_tax_profile", "payment_terms", "missing_revenue_categories",
            "open_period",
        }
    ),
}  # fmt: skip
# Earlier releases have no ledger of revenue.
LEDGER: Final = "revenue_posting"
_POSTING: Final = frozenset(
    {"id", "project_external_id", "line_external_id", "amount", "currency", "posting_date", "invoice_id", "reverses"}
)


@dataclass(frozen=True, slots=True)
class Names:
    """`renamed`: by kind, the name of v1 and the one of today."""

    renamed: Mapping[Kind, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, erp: str, options: Mapping[str, str]) -> "Names":
        """Raises InvalidEstate that names the option."""
        renamed: dict[Kind, dict[str, str]] = {}
        for option, theirs in options.items():
            if not option.startswith(_OPTION):
                continue
            record, _, name = option.removeprefix(_OPTION).partition(".")
            kind = next((one for one in Kind if one.value == record), None)
            if kind is None or name not in NAMES[kind].values() or not theirs.strip():
                raise InvalidEstate(
                    f"erp {erp}: option {option!r} names no field; write field.<record>.<name>, such as "
                    "field.project.purchase_order, with the name that the ERP has for it now"
                )
            renamed.setdefault(kind, {})[name] = theirs
        return cls(renamed)

    @property
    def needs(self) -> Needs:
        fields = {kind.value: self._of(kind) for kind in Kind}
        return Needs(("v1",), {**fields, **_OTHERS}, {LEDGER: _POSTING})

    def _of(self, kind: Kind) -> frozenset[str]:
        known = self.renamed.get(kind, {})
        optional = OPTIONAL.get(kind, ())
        own = {known.get(name, name) for ours, name in NAMES[kind].items() if ours not in optional}
        if kind is Kind.PROJECT:
            return frozenset({*_ALWAYS, *own, "status", *(PATHS[part] for part in PARTS)})
        return frozenset({*_ALWAYS, *own, "billed"} if kind in PARTS else {*_ALWAYS, *own})

    def dates_rates(self, fields: Collection[str]) -> bool:
        """Whether a release with these fields of a labour rate holds prices with a first day."""
        return self.renamed.get(Kind.LABOUR_RATE, {}).get("valid_from", "valid_from") in fields

    def read(self, kind: Kind, row: Row) -> Row:
        """A record of an answer, under the names of v1; of a project the parts that come with it too."""
        if not self.renamed:
            return row
        ours = {theirs: name for name, theirs in self.renamed.get(kind, {}).items()}
        fields: dict[str, Json] = {ours.get(name, name): value for name, value in row.fields.items()}
        if kind is Kind.PROJECT:
            for part in (one for one in PARTS if PATHS[one] in fields):
                fields[PATHS[part]] = [dict(self.read(part, one).fields) for one in row.rows(PATHS[part])]
        return Row(row.system, fields, row.write)

    def write(self, kind: Kind, body: dict[str, Json]) -> dict[str, Json]:
        """What is sent, under the names of today."""
        known = self.renamed.get(kind)
        return {known.get(name, name): value for name, value in body.items()} if known else body
