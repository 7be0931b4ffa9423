"""What the estate file says of a sandbox-cloud, and the connector that follows from it.

Options: `upsert` ("true", "false": the ERP's external ids are not unique, every create makes another record) and
`settle_s` (longest time a request may still run there after its client gave up).
"""

from typing import Final

import httpx

from sync_core.clock import Clock
from sync_core.connectors import settings
from sync_core.connectors.erp.sandbox_cloud.connector import SandboxCloud
from sync_core.connectors.erp.sandbox_cloud.names import Names
from sync_core.connectors.http import ErpHttp
from sync_core.connectors.oauth2 import ClientCredentials
from sync_core.errors import InvalidEstate
from sync_core.estate.estate import Erp
from sync_core.ports import ErpConnector, Gate

_OPTIONS: Final = ("upsert", "settle_s")
_SETTLE_S: Final = "2"  # without upsert


def check(erp: Erp) -> None:
    """What can be known of its options without a call. Raises InvalidEstate."""
    system = f"erp {erp.name}"
    settings.only(system, erp.options, _OPTIONS, groups=("field",))
    settings.seconds(system, erp.options, "settle_s", _SETTLE_S)
    if erp.options.get("upsert", "true") not in ("true", "false"):
        raise InvalidEstate(f'{system}: upsert is "true" or "false", not {erp.options["upsert"]!r}')
    Names.of(erp.name, erp.options)


def connect(
    erp: Erp, *, secret: str | None, gate: Gate, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
) -> ErpConnector:
    """`erp.user` is the OAuth client id, `secret` its secret. Nothing is sent before the first call."""
    if not (erp.url and erp.user and secret):
        raise InvalidEstate(f"erp {erp.name}: sandbox-cloud needs url, user (the client id) and secret_env; add them")
    check(erp)
    http = ErpHttp(erp.name, erp.url, gate=gate, clock=clock, timeout_s=erp.timeout_s, transport=transport)
    http.credentials = ClientCredentials(http, "/oauth/token", client_id=erp.user, client_secret=secret, clock=clock)
    upsert = erp.options.get("upsert", "true") == "true"
    settle_s = settings.seconds(f"erp {erp.name}", erp.options, "settle_s", "0" if upsert else _SETTLE_S)
    names = Names.of(erp.name, erp.options)
    return SandboxCloud(erp.name, http, upsert=upsert, settle_s=settle_s, names=names)
