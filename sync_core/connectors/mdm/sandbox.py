"""The sandbox master-data system over REST: its feed of changes by watermark.

Each entry is a whole record, so a poll that is repeated says the same again. Option `page_size` in the estate file:
records per call (500).
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import httpx
from httpx_aiohttp import HttpxAiohttpClient
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from sync_core.clock import Clock
from sync_core.connectors import settings
from sync_core.errors import InvalidEstate
from sync_core.estate.master import Mdm
from sync_core.master.records import ACTIVE, Address, MasterCustomer, MasterEntity, MasterPage, MdmError

_TIMEOUT_S = 15.0  # of a whole call
_Text = Annotated[str, Field(min_length=1, max_length=400)]
_Country = Annotated[str, Field(pattern="^[A-Za-z]{2}$")]


class _Place(BaseModel):
    kind: _Text = "billing"
    lines: tuple[_Text, ...]
    country: _Country | None = None


class _Customer(BaseModel):
    kind: Literal["customer"]
    mdm_id: _Text
    code: _Text
    name: _Text
    tax_id: _Text | None = None
    country: _Country | None = None
    status: _Text = ACTIVE
    merged_into: _Text | None = None
    addresses: tuple[_Place, ...] = ()
    changed_at: AwareDatetime


class _Entity(BaseModel):
    kind: Literal["legal_entity"]
    mdm_id: _Text
    code: _Text
    name: _Text
    country: _Country | None = None
    currency: _Text | None = None
    status: _Text = ACTIVE
    changed_at: AwareDatetime


class _Feed(BaseModel):
    records: list[Annotated[_Customer | _Entity, Field(discriminator="kind")]]
    watermark: str
    more: bool


class SandboxMdm:
    """MdmConnector. Owns its client: close it with `aclose`."""

    def __init__(self, name: str, client: httpx.AsyncClient, *, page_size: int) -> None:
        self.name = name
        self._client, self._page_size = client, page_size

    async def changes(self, watermark: str | None) -> MasterPage:
        query = {"after": watermark or "0", "limit": str(self._page_size)}
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                answer = await self._client.get("/api/changes", params=query)
        except (httpx.HTTPError, TimeoutError) as wrong:
            raise MdmError(self.name, f"no answer to its feed of changes ({type(wrong).__name__})") from wrong
        if answer.status_code in (401, 403):
            raise MdmError(self.name, f"refused our token ({answer.status_code}); renew it in the estate")
        if answer.status_code != 200:
            raise MdmError(self.name, f"answered {answer.status_code} to its feed: {answer.text[:200]}")
        try:
            feed = _Feed.model_validate_json(answer.content)
        except ValidationError as wrong:
            first = str(wrong).partition("\n")[0]
            raise MdmError(self.name, f"its feed is not what it should be ({first})") from wrong
        customers = [_customer(record) for record in feed.records if isinstance(record, _Customer)]
        entities = [_entity(record) for record in feed.records if isinstance(record, _Entity)]
        return MasterPage(customers, entities, feed.watermark, feed.more)

    async def aclose(self) -> None:
        await self._client.aclose()


def _customer(one: _Customer) -> MasterCustomer:
    addresses = tuple(Address(place.lines, place.country, place.kind) for place in one.addresses)
    changed_at: datetime = one.changed_at
    return MasterCustomer(
        one.mdm_id, one.code, one.name, changed_at, one.tax_id, one.country, one.status, one.merged_into, addresses
    )


def _entity(one: _Entity) -> MasterEntity:
    changed_at: datetime = one.changed_at
    return MasterEntity(one.mdm_id, one.code, one.name, changed_at, one.country, one.currency, one.status)


def check(mdm: Mdm) -> int:
    """How many it is asked for at a time. Raises InvalidEstate for options that cannot be used."""
    system = f"mdm {mdm.name}"
    settings.only(system, mdm.options, ("page_size",))
    return settings.page_size(system, mdm.options, 500)


def connect(
    mdm: Mdm, *, secrets: Sequence[str], clock: Clock, transport: httpx.AsyncBaseTransport | None = None
) -> SandboxMdm:
    """The first secret is the bearer token. Raises InvalidEstate when it or the URL is missing."""
    if mdm.url is None or not secrets:
        raise InvalidEstate(f"mdm {mdm.name}: the sandbox needs a url and a token; set both for it")
    page_size = check(mdm)
    client = HttpxAiohttpClient(
        base_url=mdm.url,
        headers={"authorization": f"Bearer {secrets[0]}"},
        timeout=_TIMEOUT_S,
        trust_env=False,
        transport=transport,
    )
    return SandboxMdm(mdm.name, client, page_size=page_size)
