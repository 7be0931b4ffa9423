"""A release as a whole: its identity, its date, its contracts and its organisations."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sync_core.ocds import values
from sync_core.ocds.findings import Place, Unmapped, Why
from sync_core.ocds.packaging import Packed
from sync_core.ocds.values import Object, identifier, inner, items, text


@dataclass(frozen=True, slots=True)
class Release:
    """Raises Unmapped where nothing of it can be told apart from others."""

    place: Place
    whole: Object
    ocid: str
    published_at: datetime

    @classmethod
    def of(cls, packed: Packed) -> "Release":
        whole = packed.release
        ocid = identifier(whole.get("ocid"))
        if not ocid:
            words = "it has no ocid, so nobody can tell which process it belongs to; get it from the publisher"
            raise Unmapped(Why.OCID_MISSING, words)
        published = values.moment(whole.get("date"), "date") or _of_package(packed)
        if published is None:
            words = "it has no date, so it cannot be put in order with others of its process; add its date"
            raise Unmapped(Why.DATE_MISSING, words)
        named = identifier(whole.get("id")) or f"{published.isoformat()} without id"
        place = Place(packed.place.number, packed.place.words, ocid, named)
        return cls(place, whole, ocid, published.astimezone(UTC))

    def contracts(self) -> list[tuple[str, Object]]:
        listed = items(self.whole.get("contracts"))
        if not listed:
            tags = ", ".join(values.texts(self.whole.get("tag"))) or "none"
            words = f"it holds no contract (its tags: {text(tags)}); import the release of its contract"
            raise Unmapped(Why.CONTRACT_ABSENT, words)
        named = [identifier(contract.get("id")) for contract in listed]
        if len(listed) == 1:
            named = [named[0] or "1"]
        if not all(named):
            words = "several contracts and one without id: they cannot be told apart later; add contracts/id"
            raise Unmapped(Why.CONTRACT_ID_MISSING, words)
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            words = f"two contracts with id {text(twice)[:60]}; give each its own contracts/id"
            raise Unmapped(Why.CONTRACT_ID_TWICE, words)
        return list(zip(named, listed, strict=True))

    def party(self, role: str) -> Object:
        wanted = role.lower()
        return next((one for one in items(self.whole.get("parties")) if wanted in values.texts(one.get("roles"))), {})

    def organisation(self, reference: Object) -> Object:
        """With what `parties` say of it."""
        named = identifier(reference.get("id"))
        known = (one for one in items(self.whole.get("parties")) if named and identifier(one.get("id")) == named)
        return {**next(known, {}), **reference}


def _of_package(packed: Packed) -> datetime | None:
    said = inner(packed.release, "packageInfo").get("publishedDate")
    return values.moment(packed.published, "publishedDate") or values.moment(said, "packageInfo/publishedDate")
