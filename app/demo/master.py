"""The sandbox master-data system of the demo: the firms that its ERP knows, and what people in master data do."""

from app.sandbox.master_data import CustomerRecord, MasterDataFix, PutCustomer
from app.sandbox.mdm.records import Customer, LegalEntity
from app.sandbox.mdm.server import SandboxMdm, build
from app.sandbox.portfolio.firms import known_firms
from app.settings import InvalidSettings
from app.wiring import Wiring
from sync_core.estate.master import Mdm


def build_process(wiring: Wiring, mdm: Mdm) -> SandboxMdm:
    """With a journal in the home. Raises InvalidSettings without its secret."""
    token = wiring.secret(mdm.secret_env) if mdm.secret_env else None
    if not token:
        raise InvalidSettings(f"MDM {mdm.name}: {mdm.secret_env or 'secret_env'} is not set; its sandbox needs a token")
    folder = wiring.home.path / "sandbox"
    folder.mkdir(mode=0o700, exist_ok=True)
    system = build(wiring.clock, token=token, journal=folder / f"{mdm.name}.mdm.jsonl")
    for entity in wiring.own_estate.entity:
        if not system.store.known("legal_entity", entity.code):
            known = LegalEntity(code=entity.code, name=entity.name, country=entity.country, currency=entity.currency)
            system.store.put(entity.code, known)
    for firm in known_firms():
        if not system.store.known("customer", _id(firm)):
            _put(system, firm)
    return system


def mend(system: SandboxMdm | None, fix: MasterDataFix) -> None:
    """A customer that is added to the ERP while the demo runs is one of master data too."""
    if system is not None and isinstance(fix, PutCustomer):
        _put(system, fix.customer)


def _put(system: SandboxMdm, firm: CustomerRecord) -> None:
    tax_id = firm.tax_id if firm.tax_profile else None
    system.store.put(_id(firm), Customer(code=firm.code, name=firm.name, tax_id=tax_id, country=firm.country))


def _id(firm: CustomerRecord) -> str:
    return f"M-{firm.code}"
