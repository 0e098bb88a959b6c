"""How the pages become a site: `make docs`. Read on GitHub they are the same pages."""

project = "Wavegate"
html_title = "Wavegate"
html_theme = "furo"
# Each page asks its own origin for everything.
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}
html_copy_source = False
html_show_copyright = False

extensions = ["myst_parser"]
# As GitHub makes them, so that a link to a heading leads to the same place in both.
myst_heading_anchors = 4
nitpicky = True
highlight_language = "text"

#: Pages that live beside what they describe, and where the site shows them.
ELSEWHERE = {"../sdk/README.md": "sdk.md", "../tests/spec/README.md": "vectors.md"}


def _link_within(app, docname, source):  # noqa: ANN001, ANN202, ARG001 # sphinx's signature
    for there, here in ELSEWHERE.items():
        source[0] = source[0].replace(f"]({there}", f"]({here}")


def setup(app):  # noqa: ANN001, ANN201, D103 # sphinx's signature
    from pygments.lexers.special import TextLexer  # noqa: PLC0415

    app.connect("source-read", _link_within)
    app.connect("include-read", lambda app, _path, name, source: _link_within(app, name, source))
    # GitHub draws these; here they are shown as they are written, which needs no script.
    app.add_lexer("mermaid", TextLexer)
