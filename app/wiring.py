"""The composition root: builds engines, connectors and applications from the settings and the estate file.

Everything else takes them as arguments. Engines are made by the process that uses them and connect when first used.
What only the web process needs is in app/wiring_web.py, so that no other process loads a web server and pandas.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.home import Home
from app.postgres.urls import DatabaseUrls, in_use, sqlalchemy_url
from app.sandbox.overlay import merged
from app.settings import InvalidSettings, Settings
from app.telemetry import logs
from sync_core.clock import Clock, SystemClock
from sync_core.connectors import discovery
from sync_core.delivery.channel import Channel
from sync_core.estate import estate as estates
from sync_core.estate.estate import Clm, Erp, Estate
from sync_core.estate.master import Mdm
from sync_core.intake.signatures import SigningKey, signing_key, usable_keys
from sync_core.master.records import MdmConnector
from sync_core.ocds import rules as ocds
from sync_core.policy import in_force
from sync_core.ports import ClmConnector, ErpConnector, Gate

if TYPE_CHECKING:
    from app.dashboard_context import DashboardContext

log = logging.getLogger(__name__)

DEMO_ESTATE = Path(__file__).parent / "sandbox" / "estate_demo.toml"
_OVERLAYS = {"tryton": Path(__file__).parent / "sandbox" / "estate_tryton.toml"}
# A host that vanished is noticed in about 15 s instead of two hours.
_LIVELY = {"connect_timeout": 10, "keepalives_idle": 5, "keepalives_interval": 3, "keepalives_count": 3}
# A process that stands still so long in a transaction loses it, and others get what it locked.
_STALLS_S = 60.0


@dataclass
class Wiring:
    """What one process is built from. `part` names it to the database's administrator."""

    settings: Settings
    part: str
    known_urls: DatabaseUrls | None = None  # when the caller knows the database; else the settings say

    @cached_property
    def clock(self) -> Clock:
        return SystemClock()

    @cached_property
    def home(self) -> Home:
        return Home(self.settings.home)

    @cached_property
    def urls(self) -> DatabaseUrls:
        return self.known_urls or in_use(self.settings)

    @cached_property
    def estate_text(self) -> str:
        """With the overlay of the ERP that `tieline up --with` runs beside the demo."""
        beside = self.settings.beside
        return merged(self._own_text, _OVERLAYS[beside].read_text(encoding="utf-8")) if beside else self._own_text

    @cached_property
    def _own_text(self) -> str:
        return text_of("TIELINE_ESTATE", self.settings.estate or DEMO_ESTATE)

    @cached_property
    def policy_text(self) -> str | None:
        path = self.settings.policy
        return text_of("TIELINE_POLICY", path) if path else None

    @cached_property
    def estate(self) -> Estate:
        """Under the policy, if there is one: that of the file, or that which `govern` found in force."""
        return estates.load(self.estate_text, self.policy_text)

    def govern(self, conn: sa.Connection) -> int:
        """Take the policy that people activated, before anything asks for the estate; its id. Raises InvalidEstate."""
        found = in_force.latest(conn)
        if found is None:
            return in_force.NOBODYS
        if self.policy_text not in (None, found.body):
            log.warning("TIELINE_POLICY is not the policy in force, which people activated: it is not used. "
                        "`tieline policy propose FILE` brings it into force.")  # fmt: skip
        self.policy_text = found.body
        return found.policy_id

    @cached_property
    def own_estate(self) -> Estate:
        """Without the overlay: what the demo's past and its traffic are made of."""
        return estates.load(self._own_text) if self.settings.beside else self.estate

    def secret(self, variable: str) -> str | None:
        """From the environment, else from what Tieline made up for its sandbox systems."""
        found = self.settings.secret(variable) or self.home.secrets().get(variable)
        if found:
            logs.hide(found)
        return found

    # ---- database --------------------------------------------------------------------------------------------

    def engine(self, *, read_only: bool = False, pool_size: int = 10) -> sa.Engine:
        url = self.urls.read if read_only else self.urls.app
        return sa.create_engine(
            sqlalchemy_url(url),
            pool_size=pool_size,
            pool_pre_ping=True,
            connect_args={**self._connect_args(), **self._stalls(_STALLS_S)},
        )

    def async_engine(self, *, pool_size: int = 10, patient: bool = False, stalls_s: float = _STALLS_S) -> AsyncEngine:
        """`patient`: its user begins anew when a connection turns out dead, so none is asked before it is used."""
        return create_async_engine(
            sqlalchemy_url(self.urls.app),
            pool_size=pool_size,
            pool_pre_ping=not patient,
            pool_use_lifo=True,  # few connections stay warm, with their statements prepared
            connect_args={**self._connect_args(), **self._stalls(stalls_s)},
        )

    def direct_engine(self) -> AsyncEngine:
        """For session locks: a connection of its own each time, past any pooler."""
        return create_async_engine(
            sqlalchemy_url(self.urls.direct),
            poolclass=sa.NullPool,
            connect_args={**_LIVELY, "application_name": self._name},
        )

    def _stalls(self, stalls_s: float) -> dict[str, object]:
        # Poolers refuse options at connect; there the administrator sets it for the role.
        if self.urls.pooled:
            return {}
        return {"options": f"-c idle_in_transaction_session_timeout={round(stalls_s * 1000)}"}

    @property
    def _name(self) -> str:
        return f"tieline {self.part}"

    def _connect_args(self) -> dict[str, object]:
        # A transaction pooler hands each transaction to another connection, where a prepared statement is not.
        prepared: dict[str, object] = {"prepare_threshold": None} if self.urls.pooled else {}
        return {**_LIVELY, "application_name": self._name, **prepared}

    # ---- the systems of the estate ---------------------------------------------------------------------------

    def erps(self, gates: Mapping[str, Gate]) -> dict[str, ErpConnector]:
        """One connector per ERP; all its calls pass the lane's gate. Raises InvalidEstate."""
        return {erp.name: self._erp(erp, gates[erp.name]) for erp in self.estate.erp}

    def clms(self) -> dict[str, ClmConnector]:
        """By CloudEvents source. A CLM without a URL has no connector: it only sends."""
        reachable = [self._addressed_clm(clm) for clm in self.estate.clm]
        return {clm.source: self._clm(clm) for clm in reachable if clm.url}

    def signing_keys(self) -> dict[str, Sequence[SigningKey]]:
        """By CloudEvents source; a CLM without a secret is refused at the door."""
        return {clm.source: [signing_key(secret) for secret in self._secrets(clm)] for clm in self.estate.clm}

    # ---- what others are told --------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """Where people find the pages: the public address, else where this machine serves them."""
        settings = self.settings
        running = self.home.running().get("url")
        return (settings.public_url or running or f"http://{settings.host}:{settings.port}").rstrip("/")

    @property
    def event_source(self) -> str:
        """The CloudEvents `source` of what we send; it stays when addresses change."""
        return f"urn:tieline:{re.sub('[^a-z0-9]+', '-', self.estate.group.name.lower()).strip('-')}"

    def subscriber_keys(self) -> dict[str, Sequence[SigningKey]]:
        """By subscriber; without a usable secret it gets nothing, and its state says so."""
        return {one.name: usable_keys(map(self.secret, one.secret_env)) for one in self.estate.subscriber}

    def channels(self) -> dict[str, Channel]:
        """By notification rule."""
        rules = self.estate.notify
        return {rule.name: Channel(rule.channel_env, self.secret(rule.channel_env)) for rule in rules}

    def mdm(self, mdm: Mdm) -> MdmConnector:
        """Whoever takes it closes it. Raises InvalidEstate."""
        secret = self.secret(mdm.secret_env) if mdm.secret_env else None
        secrets = [secret] if secret else []
        return discovery.mdm(mdm.kind)(replace(mdm, url=self.mdm_url(mdm)), secrets=secrets, clock=self.clock)

    def mdm_url(self, mdm: Mdm) -> str | None:
        return self._address(mdm.name, mdm.url)

    def _erp(self, erp: Erp, gate: Gate) -> ErpConnector:
        addressed = replace(erp, url=self._address(erp.name, erp.url))
        secret = self.secret(erp.secret_env) if erp.secret_env else None
        return discovery.erp(erp.kind)(addressed, secret=secret, gate=gate, clock=self.clock)

    def _addressed_clm(self, clm: Clm) -> Clm:
        return replace(clm, url=self._address(clm.name, clm.url))

    def _clm(self, clm: Clm) -> ClmConnector:
        token = self.secret(token_variable(clm))
        return discovery.clm(clm.kind)(clm, secrets=[token] if token else self._secrets(clm), clock=self.clock)

    def _secrets(self, clm: Clm) -> list[str]:
        return [secret for name in clm.secret_env if (secret := self.secret(name))]

    def _address(self, name: str, given: str | None) -> str | None:
        return self.settings.address(name) or given or self.home.sandbox_addresses().get(name)

    def check_systems(self, *, kinds: bool = True) -> None:
        """What the estate says to connectors, before anything starts. Raises InvalidEstate with what they would.

        `kinds`: that there are connectors at all; who calls no system needs none.
        """
        discovery.check(self.estate, kinds=kinds)
        for clm in self.estate.clm:
            if clm.kind == ocds.KIND:
                ocds.Rules.of(clm, self.estate)

    def require_secrets(self) -> None:
        """Raises InvalidSettings that names the first variable which the estate file names and nobody has set.

        What runs beside the demo makes up its own secrets when it starts.
        """
        for erp in self.own_estate.erp:
            if erp.secret_env and not self.secret(erp.secret_env):
                raise _unset(erp.secret_env, f"the secret of ERP {erp.name}")
        for mdm in self.own_estate.mdm:
            if mdm.secret_env and not self.secret(mdm.secret_env):
                raise _unset(mdm.secret_env, f"the secret of master-data system {mdm.name}")
        for clm in self.own_estate.clm:
            if clm.secret_env and not self._secrets(clm):
                raise _unset(clm.secret_env[0], f"the webhook secret of CLM {clm.name}")
            if clm.options.get("token_env") and not self.secret(token_variable(clm)):
                raise _unset(token_variable(clm), f"the API token of CLM {clm.name}")

    def sandboxed(self) -> tuple[tuple[Clm, ...], tuple[Erp, ...]]:
        """The CLMs and ERPs of the estate that we run ourselves: sandboxes without a URL."""
        known = self.settings.address
        clms = tuple(c for c in self.estate.clm if c.kind == "sandbox" and not c.url and not known(c.name))
        erps = tuple(e for e in self.estate.erp if e.kind == "sandbox_cloud" and not e.url and not known(e.name))
        return clms, erps

    def sandboxed_legacy(self) -> tuple[Erp, ...]:
        """Likewise the old ERPs, which run beside a sandbox CLM and cloud ERP."""
        known = self.settings.address
        return tuple(e for e in self.estate.erp if e.kind == "sandbox_legacy" and not e.url and not known(e.name))

    def sandboxed_mdm(self) -> tuple[Mdm, ...]:
        """Likewise the master-data systems."""
        known = self.settings.address
        return tuple(m for m in self.estate.mdm if m.kind == "sandbox" and not m.url and not known(m.name))


def text_of(named_by: str, path: Path) -> str:
    """Raises InvalidSettings for a file that cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        words = getattr(wrong, "strerror", None) or "it is not UTF-8 text"
        raise InvalidSettings(f"{named_by}: {path} cannot be read ({words}); name a TOML file") from wrong


def token_variable(clm: Clm) -> str:
    """The variable with the CLM's API token; one that Tieline runs itself needs none in the estate file."""
    return clm.options.get("token_env", "TIELINE_SANDBOX_CLM_TOKEN")


def _unset(variable: str, what: str) -> InvalidSettings:
    return InvalidSettings(f"{variable}: is not set, and the estate file says that it holds {what}; set it")


def dashboard_context() -> "DashboardContext":
    """For a bare `streamlit run app/dashboard.py`, see app/wiring_web.py."""
    from app import wiring_web

    return wiring_web.local_dashboard()
