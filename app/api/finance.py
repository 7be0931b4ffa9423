"""What finance states: exchange rates, disputes, the baseline and assumptions, as files in CSV or JSON."""

from collections.abc import Callable, Mapping
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request, Response
from pydantic import AwareDatetime, Field

from app.api.answers import AllOf, Amount, Moment, PageOf, Paging, View, answer, done, paging
from app.api.calling import Call, calling
from app.api.conditions import once
from app.api.refused import Code, Refused
from app.api.routing import CHANGING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import finance
from sync_core.commands.desk import Act, Once
from sync_core.commands.disputes import DISPUTE_COLUMNS
from sync_core.commands.files import Form
from sync_core.finance import Stated
from sync_core.reads.finance import RateFilter

routes = resource("finance")
Reading = Annotated[Call, Depends(calling(Permission.KPI_READ))]
Writing = Annotated[Call, Depends(calling(Permission.FINANCE_WRITE))]
Key = Annotated[Once | None, Depends(once)]
AsOf = Annotated[AwareDatetime | None, Query(description="As recorded by this moment; without it, now")]

_FORMS: Final = {"text/csv": Form.CSV, "application/json": Form.JSON}


class RateView(View):
    """One unit of `currency` is `rate` of `reporting`, from `valid_on` on until its next day."""

    currency: str
    valid_on: date
    rate: Amount
    reporting: str
    recorded_at: Moment
    recorded_by: Annotated[str, Field(description="`estate`: it stands in the estate file")]


class StatedView(View):
    """A number that can be stated; null where nobody has."""

    name: str
    says: Annotated[str, Field(description="What it is, with its unit")]
    value: Amount | None
    reason: str | None
    recorded_at: Moment | None
    recorded_by: str | None


class ImportedView(View):
    """What became of a file."""

    kind: str
    digest: Annotated[str, Field(description="SHA-256 of what the rows say, whatever the file's form")]
    rows: int
    stored: Annotated[int, Field(description="Rows that said something new")]
    repeated: Annotated[bool, Field(description="These very rows were imported before; nothing was stored")]
    warnings: Annotated[
        list[str], Field(description="Rates that were taken in and look like a slip: far ahead, or far off the last")
    ]


class File:
    """The body as it came, and what its Content-Type says that it is."""

    def __init__(self, body: bytes, form: Form) -> None:
        self.body, self.form = body, form


async def handed_in(request: Request) -> File:
    """A dependency of every import. Raises Refused."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form = _FORMS.get(media_type)
    if form is None:
        raise Refused(Code.MEDIA_TYPE, f"Content-Type is {media_type[:60]!r}; send {' or '.join(_FORMS)}")
    return File(await request.body(), form)


Handed = Annotated[File, Depends(handed_in)]


def _body(columns: tuple[str, ...], optional: tuple[str, ...], example: str) -> Mapping[str, Any]:
    """For `openapi_extra`: the file in both forms."""
    properties = {name: {"type": ["string", "number", "null"]} for name in (*columns, *optional)}
    row = {"type": "object", "properties": properties, "required": list(columns), "additionalProperties": False}
    forms = {
        "text/csv": {"schema": {"type": "string"}, "example": f"{','.join(columns)}\n{example}\n"},
        "application/json": {"schema": {"type": "array", "items": row, "minItems": 1}},
    }
    return {"requestBody": {"required": True, "content": forms}}


_REFUSED: Final = problems(*CHANGING, 415)
_RATES: Final = _body(finance.RATE_COLUMNS, (), "GBP,2026-11-01,1.2875")
_STATED: Final = _body(finance.STATED_COLUMNS, (), "dispute_rate,0.06,billing report of 2025")
_DISPUTES: Final = _body(DISPUTE_COLUMNS, ("erp", "cause"), "D-17,INV-104,2026-10-05,raised,1200.00,USD")


@routes.get("/finance/rates", response_model=PageOf[RateView], summary="List exchange rates, recorded last first")
def list_rates(
    call: Reading,
    page: Annotated[Paging, Depends(paging)],
    currency: Annotated[str | None, Query(pattern="^[A-Z]{3}$", description="ISO 4217")] = None,
    as_of: AsOf = None,
    replaced: Annotated[bool, Query(description="Earlier versions of a currency's day, too")] = False,
) -> Response:
    wanted = RateFilter(currency, as_of, replaced)
    return page.answer(call.reads.exchange_rates(wanted, window=page.window), RateView)


@routes.get("/finance/baseline", response_model=AllOf[StatedView], summary="The baseline from before go-live")
def baseline(call: Reading, as_of: AsOf = None) -> Response:
    return _stated(call, Stated.BASELINE, as_of)


@routes.get("/finance/assumptions", response_model=AllOf[StatedView], summary="What differences are multiplied with")
def assumptions(call: Reading, as_of: AsOf = None) -> Response:
    return _stated(call, Stated.ASSUMPTION, as_of)


@routes.post(
    "/finance/rates", response_model=ImportedView, status_code=HTTPStatus.CREATED, responses=_REFUSED,
    openapi_extra=dict(_RATES), summary="Import exchange rates: all rows or none",
)  # fmt: skip
def import_rates(call: Writing, file: Handed, key: Key) -> Response:
    return _imported(call, key, finance.import_rates, file)


@routes.post(
    "/finance/disputes", response_model=ImportedView, status_code=HTTPStatus.CREATED, responses=_REFUSED,
    openapi_extra=dict(_DISPUTES), summary="Import billing disputes of invoices that an ERP reported: all rows or none",
)  # fmt: skip
def import_disputes(call: Writing, file: Handed, key: Key) -> Response:
    return _imported(call, key, finance.import_disputes, file)


@routes.post(
    "/finance/baseline", response_model=ImportedView, status_code=HTTPStatus.CREATED, responses=_REFUSED,
    openapi_extra=dict(_STATED), summary="Import numbers of the baseline: all rows or none",
)  # fmt: skip
def import_baseline(call: Writing, file: Handed, key: Key) -> Response:
    return _imported(call, key, finance.import_baseline, file)


@routes.post(
    "/finance/assumptions", response_model=ImportedView, status_code=HTTPStatus.CREATED, responses=_REFUSED,
    openapi_extra=dict(_STATED), summary="State assumptions anew: all rows or none",
)  # fmt: skip
def import_assumptions(call: Writing, file: Handed, key: Key) -> Response:
    return _imported(call, key, finance.import_assumptions, file)


def _stated(call: Call, kind: Stated, as_of: AsOf) -> Response:
    found = call.reads.stated(kind, as_of=as_of)
    return answer(AllOf[StatedView](items=[StatedView.model_validate(one) for one in found]))


def _imported(
    call: Call, key: Once | None, command: Callable[[Act, bytes, Form], finance.Imported], file: File
) -> Response:
    answered = call.carry_out(key, lambda act: command(act, file.body, file.form), ImportedView.model_validate)
    return done(answered, status=HTTPStatus.CREATED)
