"""The pages outside the dashboard: no session, a sign-in that failed, no role yet, signed out."""

from dataclasses import dataclass
from html import escape
from urllib.parse import quote

_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Tieline</title>
<link rel="icon" href="/app/static/favicon.svg" type="image/svg+xml">
<style>
@font-face {{ font-family: Inter; src: url(/app/static/inter.woff2) format("woff2"); font-weight: 100 900; }}
:root {{ color-scheme: light dark; }}
* {{ box-sizing: border-box; }}
body {{
  margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  font: 15px/1.6 Inter, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  color: light-dark(#0F1B2D, #E8EDF5); background: light-dark(#F4F6F9, #0B1120);
}}
main {{
  width: 100%; max-width: 27rem; padding: 2rem 2.25rem 2.1rem; border-radius: .8rem;
  background: light-dark(#fff, #121B2C); border: 1px solid light-dark(#D9E0EA, #2A364D);
  box-shadow: 0 12px 32px light-dark(rgba(15, 27, 45, .07), rgba(0, 0, 0, .35));
}}
img {{ height: 26px; display: block; }}
h1 {{ font-size: 1.35rem; line-height: 1.3; letter-spacing: -.015em; margin: 1.6rem 0 .5rem; font-weight: 650; }}
p {{ margin: 0 0 .8rem; color: light-dark(#566377, #A3B0C6); }}
code {{
  display: block; margin: .25rem 0 .9rem; padding: .6rem .85rem; border-radius: .45rem; font-size: .95rem;
  color: light-dark(#0F1B2D, #E8EDF5); background: light-dark(#EDF1F6, #1A2336);
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace;
}}
p:last-child {{ margin: 0; font-size: .9rem; }}
a.button {{
  display: inline-block; margin: .4rem 0 1rem; padding: .55rem 1.3rem; border-radius: .4rem; text-decoration: none;
  font-weight: 600; color: light-dark(#fff, #0B1120); background: light-dark(#1D4ED8, #8AB0FF);
}}
a.button:focus-visible {{ outline: 3px solid light-dark(#93B4FA, #DCE7FE); outline-offset: 2px; }}
</style>
</head>
<body>
<main>
<picture>
<source srcset="/app/static/logo_dark.svg" media="(prefers-color-scheme: dark)">
<img src="/app/static/logo_light.svg" alt="Tieline">
</picture>
<h1>{title}</h1>
<p>{reason}</p>
{next_step}
</main>
</body>
</html>
"""


_LINK_STEP = (
    "<p>On the machine that runs Tieline, print a link:</p>\n<code>tieline link</code>\n<p>A link opens the dashboard "
    "once and then expires. No access to that machine? Ask whoever runs Tieline.</p>"
)


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one installation. `signs_in`: people sign in at an identity provider; else links let them in."""

    signs_in: bool
    contact: str = "whoever runs Tieline"

    def no_session(self, return_to: str = "/") -> str:
        return self._page(
            "Sign in to Tieline", "This browser has no open session, or the session has ended.", return_to=return_to
        )

    def link_refused(self) -> str:
        words = "A sign-in link works once and only for a short time. This one was used, has expired or is incomplete."
        return self._page("This link no longer works", words)

    def signed_out(self) -> str:
        return self._page("You are signed out", "Your session has ended on every open tab of this browser.")

    def no_role(self, email: str) -> str:
        words = f"You are signed in as {email}, but no role in Tieline has been given to you."
        return self._page("You have no role yet", words, ask="to give you one; then sign in again")

    def sign_in_refused(self) -> str:
        words = "The identity provider did not tell us who you are, or this sign-in was too old or used before."
        return self._page("You could not be signed in", words, ask="if it happens again")

    def provider_down(self) -> str:
        words = "The identity provider does not answer just now. Wait a minute and try again."
        return self._page("You cannot be signed in now", words, ask="if it stays so")

    def too_many(self) -> str:
        words = "Too many sign-ins from your address were refused. Wait five minutes and try again."
        return self._page("Too many attempts", words)

    def no_database(self) -> str:
        words = "Tieline's database does not answer just now. Nothing is lost; this page comes back by itself."
        step = f"<p>If it stays so, tell {escape(self.contact)}.</p>"
        page = _TEMPLATE.format(title="One moment, please", reason=escape(words), next_step=step)
        return page.replace("<head>", '<head>\n<meta http-equiv="refresh" content="5">', 1)

    def _page(self, title: str, reason: str, *, return_to: str = "/", ask: str = "if you cannot sign in") -> str:
        step = self._button(return_to, ask) if self.signs_in else _LINK_STEP
        return _TEMPLATE.format(title=escape(title), reason=escape(reason), next_step=step)

    def _button(self, return_to: str, ask: str) -> str:
        where = "/login" if return_to == "/" else f"/login?next={quote(return_to, safe='')}"
        return (
            f'<p><a class="button" href="{escape(where)}">Sign in</a></p>\n'
            f"<p>Ask {escape(self.contact)} {escape(ask)}.</p>"
        )
