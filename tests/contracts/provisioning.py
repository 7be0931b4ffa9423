"""Test only: a contract through a connector, as the engine would bring it there."""

import uuid
from collections.abc import Iterable
from dataclasses import replace

from sync_core.desired import ErpObject, Found, Kind, Project, Scalar, fields_of
from sync_core.keys import BusinessKey, ErpRef
from tests.contracts.cases import Case, context
from tests.contracts.samples import Sample

Made = dict[tuple[Kind, BusinessKey], ErpRef]


def number() -> str:
    return f"C-{uuid.uuid4().hex[:10]}"


async def provision(case: Case, sample: Sample) -> Made:
    """Everything up to the activation, kind after kind."""
    made: Made = {}
    for kind in Kind:
        objects = sample.of(kind)
        if objects and kind in case.connector.capabilities.kinds:
            refs = await case.connector.create(objects, made, context())
            assert set(refs) == {o.key for o in objects}
            made |= {(kind, key): ref for key, ref in refs.items()}
    return made


async def look(case: Case, sample: Sample) -> dict[tuple[Kind, BusinessKey], list[Found]]:
    observation = await case.connector.observe(sample.scope, context())
    found: dict[tuple[Kind, BusinessKey], list[Found]] = {}
    for item in observation.found:
        if item.active:
            found.setdefault((item.kind, item.key), []).append(item)
    return found


async def only(case: Case, sample: Sample, wanted: ErpObject) -> Found:
    (found,) = (await look(case, sample))[wanted.kind, wanted.key]
    return found


def held(wanted: ErpObject, found: Found) -> dict[str, Scalar]:
    """What `found` should say: the fields that its ERP can store."""
    return {name: value for name, value in fields_of(wanted).items() if name in found.fields}


def unbilled(objects: Iterable[ErpObject]) -> list[ErpObject]:
    return [replace(o, billable=False) if isinstance(o, Project) else o for o in objects]
