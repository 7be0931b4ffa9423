"""The ERPs of the demo's past, in this process and on its virtual clock."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.demo import books
from app.demo import legacy as demo_legacy
from app.sandbox.cloud import server as erp_server
from app.sandbox.erp_troubles import FIRST_RELEASE, slow
from app.sandbox.in_process import InProcess
from app.sandbox.master_data import required
from app.sandbox.portfolio.firms import known_firms
from sync_core.clock import VirtualClock
from sync_core.connectors.erp import sandbox_cloud, sandbox_legacy
from sync_core.estate.estate import Estate
from sync_core.keys import Lane
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import ErpConnector

if TYPE_CHECKING:
    from app.demo.demo import DemoSystems


@dataclass(frozen=True, slots=True)
class Erps:
    """The sandboxes, and what the engine has of them."""

    cloud: erp_server.SandboxCloud
    legacy: demo_legacy.OldErp | None
    connectors: dict[str, ErpConnector]
    gates: dict[str, LaneGate]


def erps_of(systems: "DemoSystems", clock: VirtualClock, estate: Estate, stack: AsyncExitStack) -> Erps:
    """Filled with the estate's master data; the stack closes them."""
    cloud = erp_server.build(
        clock,
        seed=systems.seed,
        client_id=systems.erp.user or "tieline",
        client_secret=systems.erp_secret,
        state=systems.erp_state,
        release=FIRST_RELEASE,
    )
    stack.callback(cloud.close)
    cloud.faults.add(slow())
    books.fill(cloud.store, required(estate, known_firms()))
    gates = {systems.erp.name: LaneGate(Lane(systems.erp.name))}
    connector = sandbox_cloud.connect(
        replace(systems.erp, url="http://erp.sandbox"),
        secret=systems.erp_secret,
        gate=gates[systems.erp.name],
        clock=clock,
        transport=InProcess(cloud),
    )
    stack.push_async_callback(connector.aclose)
    connectors: dict[str, ErpConnector] = {systems.erp.name: connector}
    legacy = None
    if systems.legacy is not None:
        legacy = _legacy(systems.legacy, clock, estate, stack, connectors, gates)
    return Erps(cloud, legacy, connectors, gates)


def _legacy(
    system: demo_legacy.LegacySystem,
    clock: VirtualClock,
    estate: Estate,
    stack: AsyncExitStack,
    connectors: dict[str, ErpConnector],
    gates: dict[str, LaneGate],
) -> demo_legacy.OldErp:
    legacy, name = demo_legacy.build_process(system, clock, estate), system.erp.name
    stack.callback(legacy.close)
    gates[name] = LaneGate(Lane(name))
    erp, way = replace(system.erp, url="http://legacy.sandbox"), InProcess(legacy.app)
    connector = sandbox_legacy.connect(erp, secret=system.secret, gate=gates[name], clock=clock, transport=way)
    connectors[name] = connector
    stack.push_async_callback(connector.aclose)
    return legacy
