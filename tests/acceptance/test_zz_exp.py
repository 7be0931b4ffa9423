"""x"""
import os, re, statistics
import pytest
from pathlib import Path
from tests.acceptance import site as sites, test_every_page as T
from tests.acceptance.test_every_page import site, browser
def test_exp(site, browser):
    out = Path("/tmp/bp/zz"); out.mkdir(exist_ok=True)
    with site.visit(browser, sites.WIDE) as page:
        want=[a for a in site.addresses if re.fullmatch(os.environ["A"], a)]
        for a in want:
            site.open(page, a)
            for look in T.LOOKS[:2]:
                look.put_on(page)
                T.keep(page, out / f"{T.named(a)}.{look.name}.png", look.viewport)
            T.LOOKS[0].put_on(page)
            (out / f"{T.named(a)}.html").write_text(page.evaluate("() => document.querySelector('[data-testid=stMain]').outerHTML"))
        if os.environ.get("TIME"):
            for a in T.BOOKMARKS:
                site.open(page, a)
                l=[T.by_a_bookmark(page, f"{site.url}/{a}") for _ in range(5)]
                print("TIME", a, [round(x,2) for x in l], round(statistics.median(l),2))
                t=[]
