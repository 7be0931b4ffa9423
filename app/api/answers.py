"""How answers look: models for what goes out, pages with cursors, entity tags, and what a command came to."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Final, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema, field_serializer

from sync_core.commands.desk import Answered
from sync_core.money import padded, rounded
from sync_core.reads.paging import MAX_PAGE_SIZE, Cursor, InvalidCursor, Listed, Window

JSON: Final = "application/json"
REPLAYED_HEADER: Final = "idempotency-replayed"


class View(BaseModel):
    """Part of an answer, made from the attributes of what was read: what is not named here stays inside."""

    model_config = ConfigDict(from_attributes=True, frozen=True, populate_by_name=True)


V = TypeVar("V", bound=View)
R = TypeVar("R")

# A moment or an amount, of a size that PostgreSQL takes.
_EDGE: Final = re.compile(r"[0-9T:.+-]+(E[+-]?[0-9]{1,3})?")

Moment = Annotated[datetime, AfterValidator(lambda at: at.astimezone(UTC))]  # UTC: ends in Z
Seconds = Annotated[
    timedelta,
    PlainSerializer(lambda span: span.total_seconds(), return_type=float),
    WithJsonSchema({"type": "number", "description": "Seconds"}),
]
Amount = Annotated[
    Decimal,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^-?\d+(\.\d+)?$",
            "examples": ["125000.00"],
            "description": "With the decimals of the currency in ISO 4217; a price may have more",
        }
    ),
]


class MoneyView(View):
    """An exact amount in major units, as text so that no digit is lost."""

    amount: Amount
    currency: Annotated[str, Field(description="ISO 4217", examples=["EUR"])]

    @field_serializer("amount")
    def _padded(self, amount: Decimal) -> str:
        return padded(amount, self.currency)


def _worth(money: MoneyView) -> MoneyView:
    return MoneyView(amount=rounded(money.amount, money.currency), currency=money.currency)


# Money in the reporting currency: to its minor unit, half-even, as the KPIs tell it.
Converted = Annotated[MoneyView, AfterValidator(_worth)]


class UnconvertedView(View):
    """Amounts of a currency without a rate."""

    total: MoneyView
    count: int


class MoneyTotalView(View):
    """A sum in the reporting currency; what has no exchange rate stands beside it, by currency."""

    money: Converted
    count: Annotated[int, Field(description="How many were added up, with or without a rate")]
    unconverted: list[UnconvertedView]


class PageOf(BaseModel, Generic[V]):
    """One page of a list. `next` and `prev` are cursors; the Link header has them as addresses."""

    items: list[V]
    total: Annotated[int, Field(description="How many match; exact unless `capped`")]
    capped: Annotated[bool, Field(description="There are more than `total`")]
    next: Annotated[str | None, Field(description="`cursor` of the next page; null: this is the last one")]
    prev: Annotated[str | None, Field(description="`cursor` of the previous page; null: this is the first one")]


class AllOf(BaseModel, Generic[V]):
    """A short list, whole."""

    items: list[V]


class FirstOf(BaseModel, Generic[V]):
    """The beginning of a list that has no pages."""

    items: list[V]
    total: Annotated[int, Field(description="How many there are; more than `items` where these are the first ones")]


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page was asked for."""

    window: Window
    request: Request

    def answer(self, listed: Listed[R], view: type[V], make: Callable[[R], V] | None = None) -> Response:
        """The page with its Link header. `make`: where a view takes more than the attributes of a row."""
        after = None if listed.after is None else token("a", listed.after)
        before = None if listed.before is None else token("b", listed.before)
        items = [(make or view.model_validate)(row) for row in listed.rows]
        body = PageOf[view](  # type: ignore[valid-type]  # a class made for this view
            items=items, total=listed.total, capped=listed.capped, next=after, prev=before
        )
        named = (("next", after), ("prev", before))
        links = [f'<{self._address(cursor)}>; rel="{rel}"' for rel, cursor in named if cursor]
        return answer(body, headers={"link": ", ".join(links)} if links else {})

    def _address(self, cursor: str) -> str:
        kept = [(name, value) for name, value in self.request.query_params.multi_items() if name != "cursor"]
        return f"{self.request.url.path}?{urlencode([*kept, ('cursor', cursor)])}"


async def paging(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="Rows of a page")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next` or `prev` of another page; with the same filters")
    ] = None,
) -> Paging:
    """A dependency of every list. Raises InvalidCursor."""
    return Paging(window_of(cursor, limit), request)


def window_of(cursor: str | None, limit: int) -> Window:
    """Raises InvalidCursor."""
    if cursor is None:
        return Window(limit)
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as wrong:
        raise InvalidCursor("the cursor is none of ours; start again at the first page") from wrong
    known = Cursor.parse(text[1:])
    if known.value is not None and not _EDGE.fullmatch(known.value):
        raise InvalidCursor("the cursor is none of ours; start again at the first page")
    if text[0] == "a":
        return Window(limit, after=known)
    if text[0] == "b":
        return Window(limit, before=known)
    raise InvalidCursor("the cursor is none of ours; start again at the first page")


def token(way: str, cursor: Cursor) -> str:
    """Opaque to clients: what it holds may change."""
    return base64.urlsafe_b64encode(f"{way}{cursor}".encode()).decode().rstrip("=")


def answer(
    body: BaseModel, *, status: HTTPStatus = HTTPStatus.OK, version: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    """`version` becomes the ETag, which a later change names in If-Match."""
    tagged = {} if version is None else {"etag": etag(version)}
    # No cache between us and a program may keep what its token let it read.
    kept = {"cache-control": "no-store", **tagged, **(headers or {})}
    return Response(body.model_dump_json(), status, kept, JSON)


def etag(version: int) -> str:
    return f'W/"{version}"'


def done(
    answered: Answered, *, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """What a command came to; a repeat says so."""
    repeated = {REPLAYED_HEADER: "true"} if answered.repeated else {}
    return Response(answered.body, status, {"cache-control": "no-store", **repeated, **(headers or {})}, JSON)
