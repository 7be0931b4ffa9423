"""The pages outside the dashboard: no session, a link that does not work, signed out."""

from html import escape

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
<p>On the machine that runs Tieline, print a link:</p>
<code>tieline link</code>
<p>A link opens the dashboard once and then expires. No access to that machine? Ask whoever runs Tieline.</p>
</main>
</body>
</html>
"""


def _page(title: str, reason: str) -> str:
    return _TEMPLATE.format(title=escape(title), reason=escape(reason))


NO_SESSION = _page("Sign in to Tieline", "This browser has no open session, or the session has ended.")
LINK_REFUSED = _page(
    "This link no longer works",
    "A sign-in link works once and only for a short time. This one was used before, has expired or is incomplete.",
)
SIGNED_OUT = _page("You are signed out", "Your session has ended on every open tab of this browser.")
