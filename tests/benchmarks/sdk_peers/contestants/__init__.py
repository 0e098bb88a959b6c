"""Who takes part. One module each, holding a class `Contestant`:

document(flags)      the flags in the form this SDK is served them; not timed
load(document)       makes a client that is ready to be asked
prepare(questions)   whatever the SDK wants to be asked with, such as context objects; not timed
evaluate(prepared)   asks, and answers the list of booleans: what is timed is also what is checked
provider()           the OpenFeature provider over the loaded client, if there is one
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

SDK: Final = Path(__file__).parents[4] / "sdk"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """How a contestant is installed, imported and shown."""

    name: str
    #: In `contestants/`; the environment's name as well.
    module: str
    #: How an app imports it.
    imports: str
    #: What pip is given.
    requires: tuple[str, ...]
    #: What pip is given as well to go through the OpenFeature client; None if nobody offers a provider.
    provider: tuple[str, ...] | None = None
    #: Keyword arguments of `Contestant`.
    options: tuple[tuple[str, object], ...] = ()
    #: No SDK of its own but a yardstick, or another way to use one.
    peer: bool = True
    note: str = ""


def entries(sdk: Path = SDK) -> list[Entry]:
    """Everybody, in the order of the table."""
    return [
        Entry(
            name="Wavegate",
            module="wavegate_sdk",
            imports="from wavegate import Client",
            requires=(str(sdk),),
            provider=("openfeature-sdk",),
            peer=False,
            note="exposures counted",
        ),
        Entry(
            name="Wavegate by name",
            module="wavegate_sdk",
            imports="from wavegate import Client",
            requires=(str(sdk),),
            options=(("by_name", True),),
            peer=False,
            note="attributes as keyword arguments",
        ),
        Entry(
            name="floor",
            module="floor",
            imports="import mmh3",
            requires=("mmh3",),
            provider=("openfeature-sdk",),
            peer=False,
            note="pure-Python closures behind a client object; counts nothing, cannot be updated",
        ),
        Entry(
            name="floor by name",
            module="floor",
            imports="import mmh3",
            requires=("mmh3",),
            options=(("by_name", True),),
            peer=False,
            note="attributes as keyword arguments",
        ),
        Entry(
            name="floor joining less",
            module="floor",
            imports="import mmh3",
            requires=("mmh3",),
            options=(("joining_less", True),),
            peer=False,
            note="remembers what stands before keys of one length",
        ),
        Entry(
            name="Eppo", module="eppo", imports="import eppo_client", requires=("eppo-server-sdk",), note="Rust core"
        ),
        Entry(
            name="Eppo with log",
            module="eppo",
            imports="import eppo_client",
            requires=("eppo-server-sdk",),
            options=(("logging", True),),
            note="an assignment logger that does nothing",
        ),
        Entry(
            name="Statsig",
            module="statsig",
            imports="import statsig_python_core",
            requires=("statsig-python-core",),
            note="Rust core; exposures off",
        ),
        Entry(
            name="Statsig with exposures",
            module="statsig",
            imports="import statsig_python_core",
            requires=("statsig-python-core",),
            options=(("exposures", True),),
            note="exposures queued, never sent",
        ),
        Entry(
            name="GrowthBook",
            module="growthbook_sdk",
            imports="import growthbook",
            requires=("growthbook",),
            provider=("growthbook-openfeature-provider",),
        ),
        Entry(
            name="ConfigCat",
            module="configcat",
            imports="import configcatclient",
            requires=("configcat-client",),
            provider=("configcat-openfeature-provider",),
        ),
        Entry(
            name="PostHog",
            module="posthog_sdk",
            imports="import posthog",
            requires=("posthog",),
            provider=("openfeature-provider-posthog",),
            note="local evaluation, no events",
        ),
        Entry(
            name="Flagsmith",
            module="flagsmith_sdk",
            imports="import flagsmith",
            requires=("flagsmith",),
            provider=("openfeature-provider-flagsmith",),
            note="local evaluation",
        ),
        Entry(
            name="flagd",
            module="flagd",
            imports="import openfeature.contrib.provider.flagd",
            requires=("openfeature-provider-flagd",),
            provider=(),
            note="in process, from a file",
        ),
        Entry(
            name="LaunchDarkly",
            module="launchdarkly",
            imports="import ldclient",
            requires=("launchdarkly-server-sdk",),
            provider=("launchdarkly-openfeature-server",),
            note="from a file, no events",
        ),
        Entry(
            name="Unleash",
            module="unleash",
            imports="import UnleashClient",
            requires=("UnleashClient",),
            provider=("openfeature-provider-unleash",),
            note="from a bootstrapped cache, Rust core",
        ),
    ]


#: The OpenFeature client by itself, which everybody who goes through it pays for.
BARE_OPENFEATURE: Final = Entry(
    name="OpenFeature client alone",
    module="nothing",
    imports="import openfeature",
    requires=(),
    provider=("openfeature-sdk",),
    peer=False,
)

#: Who is known and does not take part, and why.
LEFT_OUT: Final = {
    "Flipt": "flipt-client takes its flags from a Flipt server only",
    "DevCycle": "devcycle-python-server-sdk takes its flags from DevCycle's servers only",
}
