"""The defects of the made-up portfolio: how many, how they show, how they are repaired."""

from collections import Counter
from datetime import timedelta

import orjson

from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.changes import Change, ChangeKind, DeliveryFault
from app.sandbox.clm.server import build
from app.sandbox.clm.webhooks import Delivery, Target
from app.sandbox.master_data import PutCustomer, SwitchPeriod
from app.sandbox.portfolio.defects import TREATMENTS, Defect, Repair
from app.sandbox.portfolio.steps import Step
from sync_core.cases.approvals import NEEDED
from sync_core.checks import contract_findings
from sync_core.clock import VirtualClock
from sync_core.contract import Stage
from sync_core.estate.estate import Estate
from tests.sandbox.clm_process import SECRET
from tests.sandbox.stories import CONTRACTS, START, contracts_of, defect_of, play, signings

_IN_THE_CLM = (Repair.CORRECTION, Repair.APPROVED_CLAUSE)


def test_each_defect_shows_as_the_finding_it_should_before_its_repair(steps: list[Step], estate: Estate) -> None:
    broken = [step for step in steps if not step.repairs]
    skipped = {s.contract_id for s in steps if s.repairs}
    by_id = defect_of(steps)
    upto_signature: list[Step] = []
    signed: set[str] = set()
    for step in broken:
        if step.contract_id in skipped and step.contract_id not in signed:
            upto_signature.append(step)
            if isinstance(step.action, Change) and step.action.kind is ChangeKind.SIGNED:
                signed.add(step.contract_id)
    seen: set[tuple[Defect, str]] = set()
    for contract in contracts_of(play(upto_signature)):
        if contract.stage is Stage.SIGNED:
            causes = {f.cause for f in contract_findings(contract, estate)} - {NEEDED}  # large ones ask for it besides
            seen |= {(by_id[contract.external_id], cause) for cause in causes}
    wanted = {(d, t.cause) for d, t in TREATMENTS.items() if t.repair in _IN_THE_CLM and t.cause}
    assert seen == wanted


def test_defects_are_a_controlled_share_and_every_kind_occurs(steps: list[Step]) -> None:
    defects = defect_of(steps)
    assert 0.035 <= len(defects) / CONTRACTS <= 0.06
    assert set(defects.values()) == set(Defect)
    brought, ended = (Counter(s.defect for s in steps if s.defect and s.repairs is r) for r in (False, True))
    for defect in Defect:
        healing = TREATMENTS[defect].repair is not Repair.NONE
        assert brought[defect] >= 1
        assert (ended[defect] >= 1) is healing
        assert ended[defect] <= brought[defect]


def test_out_of_sequence_and_shared_ids_are_what_their_names_say(steps: list[Step], played: SandboxClm) -> None:
    gap = next(s.contract_id for s in steps if s.defect is Defect.AMENDMENT_GAP and s.repairs)
    published = [orjson.loads(e) for e in played.store.feed if orjson.loads(e)["subject"] == gap]
    numbers = [e["data"]["amendment"]["number"] for e in published if "amendment" in e["data"]]
    assert numbers[:2] == [2, 1]
    shared = [s for s in steps if s.defect is Defect.SHARED_LOCAL_ID and isinstance(s.action, Change)]
    bodies = [s.action.body for s in shared if isinstance(s.action, Change)]
    assert {body["local_id"] for body in bodies} == {"1"}
    assert len({body["process_id"] for body in bodies}) == len(bodies) == len({s.contract_id for s in shared})
    text = next(s.action for s in steps if s.defect is Defect.AMOUNTS_AS_TEXT)
    assert isinstance(text, Change)
    assert b'"value":"' in orjson.dumps(text.body)


def test_master_data_defects_are_missing_before_the_signature_and_repaired_after_it(steps: list[Step]) -> None:
    signed = {s.contract_id: s.at for s in signings(steps)}
    fixes = [s for s in steps if isinstance(s.action, (PutCustomer, SwitchPeriod))]
    assert fixes
    for step in fixes:
        assert (step.at > signed[step.contract_id]) is step.repairs
        if isinstance(step.action, PutCustomer):
            assert step.action.customer.tax_profile is step.repairs
        elif isinstance(step.action, SwitchPeriod):
            assert step.action.open is step.repairs


async def test_deliveries_out_of_order_really_are(steps: list[Step]) -> None:
    contract = next(s.contract_id for s in steps if s.defect is Defect.OUT_OF_ORDER)
    clock = VirtualClock(START)
    clm = build(clock, seed=1, token="t", webhook=Target("http://tieline.example", SECRET))
    arrived: list[int] = []

    async def send(delivery: Delivery) -> int:
        arrived.append(orjson.loads(delivery.body)["data"]["revision"])
        return 202

    for step in (s for s in steps if s.contract_id == contract):
        while (due := clm.next_due()) is not None and due <= step.at:
            clock.advance_to(due)
            await clm.deliver_due(send)
        clock.advance_to(step.at)
        if isinstance(step.action, (Change, DeliveryFault)):
            clm.perform(step.action)
    clock.advance(timedelta(hours=1))
    await clm.deliver_due(send)
    assert sorted(arrived) == list(range(1, len(arrived) + 1))
    assert arrived != sorted(arrived)
