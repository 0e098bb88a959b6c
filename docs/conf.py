"""How the pages become a site: `make docs`. Read on GitHub they are the same pages."""

import mmdr
from docutils import nodes
from docutils.parsers.rst import Directive

project = "Wavegate"
html_title = "Wavegate"
html_theme = "furo"
# Each page asks its own origin for everything.
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}
html_copy_source = False
html_show_copyright = False

extensions = ["myst_parser", "sphinx_copybutton"]
# As GitHub makes them, so that a link to a heading leads to the same place in both.
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
nitpicky = True
highlight_language = "text"
# What is copied is what one types: not the prompt, and not what came back.
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"
copybutton_here_doc_delimiter = "END"

#: Pages that live beside what they describe, and where the site shows them.
ELSEWHERE = {"../sdk/README.md": "sdk.md", "../tests/spec/README.md": "vectors.md"}
#: Quiet ones, and no font that a reader may not have.
THEME = '%%{init: {"theme": "neutral", "fontFamily": "sans-serif"}}%%\n'


class Mermaid(Directive):
    """Draws when the site is built, so that a page needs no script for it."""

    has_content = True

    def run(self):  # noqa: ANN201, D102 # docutils' signature
        try:
            drawn = mmdr.render(THEME + "\n".join(self.content)).svg()
        except ValueError as error:
            raise self.error(f"this is no diagram: {error}") from None
        # Drawn for a light page, on a light ground in a dark one, too.
        frame = "background: #fff; border-radius: 4px; padding: 8px; overflow-x: auto"
        return [nodes.raw("", f'<div role="figure" style="{frame}">{drawn}</div>', format="html")]


def _link_within(app, docname, source):  # noqa: ANN001, ANN202, ARG001 # sphinx's signature
    for there, here in ELSEWHERE.items():
        source[0] = source[0].replace(f"]({there}", f"]({here}")


def setup(app):  # noqa: ANN001, ANN201, D103 # sphinx's signature
    app.connect("source-read", _link_within)
    app.connect("include-read", lambda app, _path, name, source: _link_within(app, name, source))
    app.add_directive("mermaid", Mermaid)
