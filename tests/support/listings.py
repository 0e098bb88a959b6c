"""The listings of a page of the documentation, as files: what it shows is what is tested."""

import re
import sys
from collections import Counter
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

DOCS = Path(__file__).parents[2] / "docs"
_LISTING = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def write_listings(page, folder):
    """Writes every listing that begins with a file's name into the folder, to be imported anew."""
    found = _LISTING.findall((DOCS / page).read_text())
    for name, code in found:
        (folder / name).write_text(code)
        sys.modules.pop(name.removesuffix(".py"), None)
    return [name for name, _ in found]


def totals(metrics, flag="ai-summaries"):
    """What /metrics says about a flag: requests, by variant, and bad ones, by kind."""
    requests, bad = Counter(), Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.labels.get("flag") != flag or not sample.value:
                continue
            if sample.name == "wavegate_requests_total":
                requests[sample.labels["variant"]] += sample.value
            elif sample.name == "wavegate_bad_total":
                bad[sample.labels["kind"]] += sample.value
    return requests, bad


#: The flags of the listings: both of them on for everybody, by a rollout.
RULESET = {
    "schema": 1,
    "environment": "production",
    "revision": 1,
    "flags": {
        key: {
            "variants": {"on": True, "off": False},
            "default_variant": "off",
            "rollout": {"stable": "off", "candidate": "on", "weight": 100_000},
        }
        for key in ("ai-summaries", "new-banner")
    },
}
