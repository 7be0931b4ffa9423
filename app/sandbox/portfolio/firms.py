"""Invented customers. A firm is a function of its number alone, so every seed and every estate knows the same firms.

Numbers from 1 to KNOWN are in every ERP from the start; higher ones are new customers, for contracts whose
customer master data has yet to learn of.
"""

from functools import cache

from app.sandbox.chance import chance
from app.sandbox.master_data import CustomerRecord

KNOWN = 120
# fmt: off
_STEMS = (
    "Alderwick", "Brackenfield", "Corvane", "Dunmarrow", "Eastholm", "Fenwright", "Galloway-Reed", "Harrowgate",
    "Ironbridge", "Juniper-Vale", "Kestrelmoor", "Larkspire", "Mossgrave", "Northfell", "Oakhaven", "Pemberlin",
    "Quillstone", "Ravensworth", "Silverbeck", "Thornbury-Lane", "Umberfield", "Velloria", "Westmarch", "Yarrowdale",
    "Zephyrine", "Arcadenne", "Bluecairn", "Calderis", "Drayforth", "Ellingsund", "Farrowmere", "Grantholm",
    "Hollowick", "Istrava", "Jorvane", "Kingsmere", "Lindqvist-Hale", "Marrowby", "Nettlebridge", "Orrinvale",
    "Palewater", "Quenby", "Rookfield", "Stanmoor", "Tarnholt", "Ulverstone-Gray", "Vantreau", "Wexcombe", "Averlyn",
    "Bexforth", "Castrell", "Delmorra", "Evenlode", "Fairhollow", "Greymantle", "Highmoor", "Inverlea", "Jessamy",
    "Korrin", "Lothmere",
)
_TRADES = (
    "Logistics", "Foods", "Energy", "Insurance", "Pharma", "Airlines", "Retail", "Bank", "Telecom", "Chemicals",
    "Motors", "Media", "Water", "Steel", "Healthcare", "Rail", "Semiconductors", "Packaging", "Mining", "Textiles",
)
# fmt: on
_FORMS = {"US": "Inc.", "GB": "plc", "DE": "AG", "JP": "K.K.", "KW": "W.L.L.", "FR": "S.A.", "CH": "AG", "CA": "Corp."}
_HOME = ("US", "GB", "DE", "US", "JP", "KW")
_ABROAD = ("CH", "CA", "SG", "NL", "AE")
_REGIONS = {
    "US": "North America",
    "CA": "North America",
    "JP": "Asia Pacific",
    "SG": "Asia Pacific",
    "KW": "Middle East",
    "AE": "Middle East",
}


@cache
def firm(number: int, home: tuple[str, ...] = _HOME) -> CustomerRecord:
    """The customer with this number, from 1; most sit in one of the countries `home`. Not those of an estate's
    entities: one more entity would give the others' customers other names.
    """
    rng = chance("firm", number)
    country = rng.choice(_ABROAD) if rng.random() < 0.08 else rng.choice(home)
    stem, lap = _STEMS[number % len(_STEMS)], number // len(_STEMS)
    trade = _TRADES[(11 * number + lap) % len(_TRADES)]
    name = f"{stem.replace('-', ' ')} {trade} {_FORMS.get(country, 'Ltd')}"
    digits = f"{rng.randrange(10**9):09d}"
    return CustomerRecord(f"CUST-{number:04d}", name, country, _tax_id(country, digits))


def known_firms() -> tuple[CustomerRecord, ...]:
    """The customers that the ERP knows from the start."""
    return tuple(firm(number) for number in range(1, KNOWN + 1))


def region(country: str) -> str:
    return _REGIONS.get(country, "Europe")


def _tax_id(country: str, digits: str) -> str:
    if country == "US":
        return f"{digits[:2]}-{digits[2:]}"
    if country == "JP":
        return f"T{digits[:4]}{digits}"
    return f"{country}{digits}"
