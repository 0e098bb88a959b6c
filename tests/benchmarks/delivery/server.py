"""A data plane in a process of its own, as `wavegate serve` puts it together, with flags and a key but no database.

Prints its port. For each line that it reads it publishes a further revision, and prints when it began.
"""

import socket
import sys
import threading
import time
from datetime import UTC, datetime

import uvicorn

from wavegate.evaluation import ruleset_from_json, ruleset_to_json
from wavegate.evaluation.deltas import document_hash
from wavegate_controller.bootstrap import DataPlaneServer
from wavegate_controller.delivery import (
    Cors,
    Delivery,
    Flagd,
    Grant,
    Hub,
    Keys,
    Ofrep,
    PostedCounts,
    RateLimits,
    SdkRoutes,
)
from wavegate_controller.delivery.keys import hash_of
from wavegate_controller.delivery.protocol import BoundedProtocol
from wavegate_controller.domain.publication import PublishedRuleset

KEY = "as-long-and-random-as-the-keys-of-apps-are"


def ruleset(flags: int, revision: int) -> PublishedRuleset:
    """Boolean flags at 25 %, the first switched on and off in turns."""
    document = {
        "schema": 1,
        "environment": "production",
        "revision": revision,
        "flags": {
            f"flag-{number:03}": {
                "state": "disabled" if number == 0 and revision % 2 == 0 else "enabled",
                "variants": {"on": True, "off": False},
                "default_variant": "off",
                "rollout": {"stable": "off", "candidate": "on", "weight": 25_000},
            }
            for number in range(flags)
        },
    }
    body = ruleset_to_json(ruleset_from_json(document))
    return PublishedRuleset(
        environment="production",
        revision=revision,
        body=body,
        etag=document_hash(body),
        published_at=datetime.now(UTC),
    )


def publish_on_demand(hub: Hub, flags: int) -> None:
    for revision, _ in enumerate(sys.stdin, 2):
        made = ruleset(flags, revision)
        began = time.monotonic()
        hub.publish(made)
        print(began, flush=True)


def main() -> None:
    flags = int(sys.argv[1])
    hub, keys, counts = Hub(), Keys(), PostedCounts()
    keys.replace({hash_of(KEY): Grant(key_id="1", environment="production")})
    hub.publish(ruleset(flags, 1))
    ofrep = Ofrep(hub, keys, limits=RateLimits(1_000_000), cors=Cors([]))
    counts.include(ofrep.served)
    app = Delivery(
        {"/sdk/": SdkRoutes(hub, counts, keys), "/ofrep/": ofrep, "/flagd/": Flagd(hub, keys)},
        otherwise=ofrep,
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    threading.Thread(target=publish_on_demand, args=(hub, flags), daemon=True).start()
    DataPlaneServer(config, hub).run(sockets=[listener])


if __name__ == "__main__":
    main()
