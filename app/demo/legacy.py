"""sandbox-legacy in the demo: an old ERP that one legal entity still bills from, with the master data that it needs.

What it calls things is in the estate file, as the connector's options; it is filled from the same master data as the
cloud ERP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path

from app.demo.books import customer_row
from app.sandbox.legacy import admin
from app.sandbox.legacy.server import SandboxLegacy, build
from app.sandbox.master_data import MasterData, MasterDataFix, PutCustomer, required
from app.sandbox.portfolio.firms import known_firms
from app.settings import InvalidSettings
from app.wiring import Wiring
from sync_core.clock import Clock
from sync_core.connectors.erp.sandbox_legacy.codes import Codes
from sync_core.estate.estate import Erp, Estate
from sync_core.lanes.batches import BatchWindow


@dataclass(frozen=True, slots=True)
class LegacySystem:
    """What the sandbox is made of, so that a history can make the same one on its own clock."""

    seed: int
    erp: Erp
    state: Path
    secret: str = field(repr=False)
    admin_token: str = field(repr=False)


def system_of(wiring: Wiring, seed: int) -> LegacySystem | None:
    """The one of the estate that we run ourselves, if there is one. Raises InvalidSettings without its secret."""
    erp = next(iter(wiring.sandboxed_legacy()), None)
    if erp is None:
        return None
    secret = wiring.secret(erp.secret_env) if erp.secret_env else None
    token = wiring.secret("TIELINE_SANDBOX_ADMIN_TOKEN")
    if not secret or not token:
        raise InvalidSettings(
            f"ERP {erp.name}: {erp.secret_env or 'secret_env'} is not set; its sandbox needs a password"
        )
    folder = wiring.home.path / "sandbox"
    folder.mkdir(mode=0o700, exist_ok=True)
    return LegacySystem(seed, erp, folder / f"{erp.name}.legacy.jsonl", secret, token)


@dataclass(frozen=True, slots=True)
class OldErp:
    """The sandbox with its own codes."""

    app: SandboxLegacy
    codes: Codes

    def mend(self, fix: MasterDataFix) -> None:
        """What someone in master data or finance does while the demo runs; a new dump shows it at once."""
        rows = _fix(fix, self.codes)
        if rows:
            admin.put_master(self.app.store, rows)
            self.app.nights.publish(self.app.now())

    def close(self) -> None:
        self.app.close()


def build_process(system: LegacySystem, clock: Clock, estate: Estate) -> OldErp:
    """Filled with the estate's master data. Close it when done."""
    options = system.erp.options
    opens, closes, answers = (time.fromisoformat(options[name]) for name in ("opens", "closes", "answers"))
    app = build(
        clock,
        window=BatchWindow(opens, closes, answers, options["zone"]),
        seed=system.seed,
        user=system.erp.user or "tieline",
        password=system.secret,
        admin_token=system.admin_token,
        state=system.state,
    )
    codes = Codes.of(system.erp.name, options)
    admin.put_master(app.store, _rows(required(estate, known_firms()), codes))
    app.nights.publish(clock.now())
    return OldErp(app, codes)


def _rows(books: MasterData, codes: Codes) -> Mapping[str, object]:
    currencies = [{"code": code, "iso": name} for (group, name), code in codes.theirs.items() if group == "currency"]
    return {
        "currencies": currencies,
        "legal_entities": [
            {"code": codes.code("entity", e.code), "name": e.name, "currency": e.currency}
            for e in books.entities
            if codes.known("entity", e.code)
        ],
        "tax_codes": [
            {"legal_entity": codes.code("entity", t.legal_entity), "code": codes.code("tax", t.code),
             "rate": str(t.rate * 100)}
            for t in books.tax_codes
            if codes.known("entity", t.legal_entity) and codes.known("tax", t.code)
        ],
        "payment_terms": [
            {"code": codes.code("terms", p.code), "days": str(p.days)}
            for p in books.payment_terms
            if codes.known("terms", p.code)
        ],
        "revenue_categories": [
            {"code": codes.code("category", c.code), "account": codes.code("account", c.account)}
            for c in books.revenue_categories
            if codes.known("category", c.code)
        ],
        "labour_categories": [
            {"code": c.code, "name": c.name, "revenue_category": codes.code("category", c.revenue_category)}
            for c in books.labour_categories
            if codes.known("category", c.revenue_category)
        ],
        "customers": [customer_row(c) for c in books.customers],
    }  # fmt: skip


def _fix(fix: MasterDataFix, codes: Codes) -> Mapping[str, Sequence[Mapping[str, str | None]]]:
    if isinstance(fix, PutCustomer):
        return {"customers": [customer_row(fix.customer)]}
    if not codes.known("entity", fix.legal_entity):
        return {}
    status, entity = "open" if fix.open else "closed", codes.code("entity", fix.legal_entity)
    return {"periods": [{"legal_entity": entity, "period": f"{fix.month:%Y-%m}", "status": status}]}
