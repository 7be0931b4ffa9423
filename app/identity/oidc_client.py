"""What the identity provider knows us as: from the estate's [identity] and this installation's settings."""

from dataclasses import dataclass

from app.settings import InvalidSettings
from app.wiring import Wiring
from sync_core.estate.identity import is_safe_url


@dataclass(frozen=True, slots=True)
class Client:
    """A client of OpenID Connect."""

    issuer: str
    client_id: str
    client_secret: str | None  # None: a public client
    scopes: tuple[str, ...]
    public_url: str  # without a slash at the end

    @property
    def redirect_uri(self) -> str:
        return f"{self.public_url}/oauth2/callback"

    @property
    def after_logout_uri(self) -> str:
        return f"{self.public_url}/signed-out"


def client_of(wiring: Wiring) -> Client | None:
    """None where people sign in by links. Raises InvalidSettings for what the estate needs besides."""
    identity, public_url = wiring.estate.identity, wiring.settings.public_url
    if identity.issuer is None or identity.client_id is None:
        return None
    if public_url is None or not is_safe_url(public_url):
        raise InvalidSettings(
            "TIELINE_PUBLIC_URL: with an issuer under [identity] it must be the https address that browsers use; "
            "the provider sends people back there"
        )
    secret = wiring.secret(identity.client_secret_env) if identity.client_secret_env else None
    if identity.client_secret_env and not secret:
        raise InvalidSettings(f"{identity.client_secret_env}: [identity] names it for the client's secret; set it")
    return Client(identity.issuer, identity.client_id, secret, identity.scopes, public_url.rstrip("/"))
