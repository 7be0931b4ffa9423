"""How a message leaves: by Apprise, whose URL names the service, and holds its secrets.

Apprise takes plain text and escapes it for services that show something else. It follows redirects and reads emoji
names unless told otherwise, and its own log lines could name a secret: so its logger is mute, and what it says of a
failure is told without any part of the URL.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from sync_core.delivery.wording import Text

TIMEOUT_S: Final = 30.0


class NotSent(Exception):
    """The service did not take the message; the words hold no secret."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True, slots=True)
class Channel:
    """`url` None: the variable is not set."""

    variable: str
    url: str | None = field(repr=False)

    def send(self, text: Text, *, attach: Path | None = None) -> None:
        """Blocks for half a minute at most, so call it in a thread. Raises NotSent.

        A file goes with it where the service takes one, as e-mail does; others get the text alone.
        """
        if not self.url:
            raise NotSent(f"{self.variable} is not set; give it the Apprise URL of the channel")
        import apprise  # half a second, which only whoever sends pays

        logger = logging.getLogger("apprise")
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        asset = apprise.AppriseAsset(
            async_mode=False,
            http_redirects=False,
            interpret_emojis=False,
            allow_templates=False,
            service_timeout=TIMEOUT_S,
            app_id="Tieline",
            app_desc="Tieline",
            app_url="",
        )
        service = apprise.Apprise.instantiate(self.url, asset=asset)
        if service is None:
            raise NotSent(f"{self.variable} is no URL that Apprise understands; see its list of services")
        one = apprise.Apprise(asset=asset)
        one.add(service)
        file = str(attach) if attach is not None and service.attachment_support else None
        result = one.notify(title=text.title, body=text.body, body_format=apprise.NotifyFormat.TEXT, attach=file)
        if not result:
            said = [entry.message for entry in result.logs()]
            raise NotSent(self._without_secrets(said[-1] if said else "the service did not take the message"))

    def _without_secrets(self, words: str) -> str:
        parts = urlsplit(self.url or "")
        values = [value for _, value in parse_qsl(parts.query)]
        pieces = [parts.username or "", parts.password or "", *parts.path.split("/"), *values]
        for piece in sorted({unquote(piece) for piece in pieces} | set(pieces), key=len, reverse=True):
            if len(piece) > 3:
                words = words.replace(piece, "***")
        return words[:300]
