"""Documents that are written in Markdown, as HTML: people's words in them stay words, whatever they look like."""

import re
from html import escape
from typing import Final

from markdown_it import MarkdownIt

#: An image would be fetched from wherever somebody wrote, by whoever reads.
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
_SPECIAL: Final = re.compile(r"([\\`*\[\]]|(?<!\w)_|_(?!\w))")
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 11pt/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid; padding: 0.25rem 0.5rem; text-align: left; vertical-align: top; }}
h2 {{ break-after: avoid; }}
figure {{ margin: 1rem 0; break-inside: avoid; }}
tr, li {{ break-inside: avoid; }}
@page {{ margin: 2cm; }}
</style>
</head>
<body>
{body}</body>
</html>
"""


def to_html(markdown: str) -> str:
    """The body of a page."""
    html: str = _MARKDOWN.render(markdown)
    return html


def to_page(markdown: str, body: str = "") -> str:
    """A page that needs nothing beside itself, to be sent or printed; its title is the first heading.

    Args:
        markdown: the document.
        body: its HTML, where there is more to it than the Markdown says.
    """
    title = markdown.partition("\n")[0].lstrip("# ")
    return _PAGE.format(title=escape(title), body=body or to_html(markdown))


def as_text(words: str) -> str:
    """People's words as Markdown that shows them as they are: no HTML, no link, no emphasis."""
    return _SPECIAL.sub(r"\\\1", words.replace("&", "&amp;").replace("<", "&lt;"))
