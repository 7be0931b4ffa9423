"""KPIs: their definitions, their values of any weeks as of any moment, and the rows behind a value."""

import base64
import binascii
import hashlib
import re
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Depends, Header, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, StringConstraints

from app.api.answers import AllOf, answer
from app.api.calling import Call, calling
from app.api.inputs import NO_NUL
from app.api.kpi_views import DefinitionView, KpiRowsView, KpiView, kpi_view, rows_view
from app.api.routing import Documented, problems, resource
from metrics import weeks
from metrics.asking import Ask, By, Filters
from metrics.checking import refuse_moment
from metrics.kpi import Definition
from sync_core.authority import Permission
from sync_core.commands.desk import NotFound
from sync_core.reads.paging import MAX_PAGE_SIZE, InvalidCursor

routes = resource("kpis")
Reading = Annotated[Call, Depends(calling(Permission.KPI_READ))]
Slug = Annotated[str, Path(max_length=60, pattern=NO_NUL, examples=["cycle-time"])]
Chosen = Annotated[
    list[Annotated[str, StringConstraints(max_length=100, pattern=NO_NUL)]],
    Query(max_length=200, description="Only of these; may be repeated. All if left out"),
]
_WEEK: Final = "An ISO week such as 2026-W47, or a Monday"
Start = Annotated[str | None, Query(alias="from", max_length=20, pattern=NO_NUL, description=f"{_WEEK}")]
End = Annotated[
    str | None, Query(alias="to", max_length=20, pattern=NO_NUL, description=f"{_WEEK}: a week is in it, a Monday not")
]
AsOf = Annotated[
    AwareDatetime | None, Query(description="What was known at this moment, and ages as of then; now if left out")
]
NoneMatch = Annotated[str | None, Header(description="An ETag that you have; 304 where it is still right")]

# What a place among rows looks like: their value and their number (metrics/drilling.py).
_PLACE: Final = re.compile(r"-?[0-9.]{1,60}(E[+-]?[0-9]{1,3})?:-?[0-9]{1,18}")
_UNCHANGED: Final[Documented] = {304: {"description": "What you have is still right"}}


async def asked(
    call: Reading,
    start: Start = None,
    end: End = None,
    as_of: AsOf = None,
    legal_entity: Chosen = [],  # noqa: B006  # FastAPI copies it
    service_line: Chosen = [],  # noqa: B006
    geography: Chosen = [],  # noqa: B006
    billing: Chosen = [],  # noqa: B006
) -> Ask:
    """Thirteen weeks up to now unless said otherwise. Raises InvalidAsk."""
    chosen = [frozenset(one) or None for one in (legal_entity, service_line, geography, billing)]
    return ask_of(call, start, end, as_of, Filters(*chosen))


def ask_of(call: Call, start: str | None, end: str | None, as_of: datetime | None, filters: Filters) -> Ask:
    measures = call.measures
    refuse_moment(as_of)
    window = weeks.window(start, end, now=as_of or measures.clock.now(), zone=measures.estate.group.timezone)
    return Ask(window, as_of, filters)


Asked = Annotated[Ask, Depends(asked)]


@routes.get("/kpis", response_model=AllOf[DefinitionView], summary="List KPIs with their definitions")
def list_kpis(call: Reading) -> Response:
    known = [DefinitionView.model_validate(one) for one in call.measures.definitions()]
    return answer(AllOf[DefinitionView](items=known))


@routes.get(
    "/kpis/{slug}",
    response_model=KpiView,
    responses={**problems(404), **_UNCHANGED},
    summary="The value of a KPI, and of each group",
)
def one_kpi(
    call: Reading,
    slug: Slug,
    ask: Asked,
    by: Annotated[By | None, Query(description="Also of each group; the definition's `splits` say by what")] = None,
    if_none_match: NoneMatch = None,
) -> Response:
    _known(call, slug)
    result = call.measures.kpi(slug, ask, by)
    return _tagged(kpi_view(result, ask.window, _currency(call)), if_none_match)


@routes.get(
    "/kpis/{slug}/rows",
    response_model=KpiRowsView,
    responses=problems(404),
    summary="The rows behind a KPI's value, largest first; needs contracts:read too",
)
def kpi_rows(
    request: Request,
    call: Reading,
    slug: Slug,
    ask: Asked,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="Rows of a page")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next` of another page; with the same parameters")
    ] = None,
) -> Response:
    known = _known(call, slug)
    call.actor.require(Permission.CONTRACTS_READ)
    drill = call.measures.drill(slug, ask, after=_place(cursor), limit=limit)
    call.showed(int(str(row["contract_id"])) for row in drill.rows if row.get("contract_id") is not None)
    after = None if drill.after is None else _token(drill.after)
    links = {} if after is None else {"link": f'<{_address(request, after)}>; rel="next"'}
    return answer(rows_view(drill, known.unit, _currency(call), after=after), headers=links)


def _known(call: Call, slug: str) -> Definition:
    found = next((one for one in call.measures.definitions() if one.slug == slug), None)
    if found is None:
        raise NotFound(f"there is no KPI {slug[:60]!r}; GET /v1/kpis lists them")
    return found


def _currency(call: Call) -> str:
    return call.measures.estate.group.reporting_currency


def _tagged(body: BaseModel, known: str | None) -> Response:
    """With an ETag over what it says; a caller who has it gets 304."""
    tag = f'W/"{hashlib.sha256(body.model_dump_json().encode()).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if known is not None and tag in (one.strip() for one in known.split(",")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return answer(body, headers=headers)


def _token(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _place(cursor: str | None) -> str | None:
    """Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as wrong:
        raise InvalidCursor("the cursor is none of ours; start again at the first page") from wrong
    if not _PLACE.fullmatch(text) or text.count(".") > 1 or text.startswith(("-.", ".")):
        raise InvalidCursor("the cursor is none of ours; start again at the first page")
    return text


def _address(request: Request, cursor: str) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return f"{request.url.path}?{urlencode([*kept, ('cursor', cursor)])}"
