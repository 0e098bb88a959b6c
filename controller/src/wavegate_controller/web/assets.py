"""The files that every page loads, in their order. What is in `vendor` comes from npm when the package is built."""

from typing import Final

STYLES: Final = (
    "css/tokens.css",
    "css/components.css",
    "css/pages.css",
    "css/charts.css",
    "css/tools.css",
    "css/stages.css",
)
SCRIPTS: Final = ("vendor/htmx.min.js", "vendor/idiomorph-ext.min.js")
#: Where there is something to draw.
CHART_SCRIPTS: Final = ("vendor/uPlot.iife.min.js",)
CHART_STYLES: Final = ("vendor/uPlot.min.css",)
