"""A small product with two AI features behind flags: what an app looks like that uses Wavegate's SDK.

Each feature asks for a `trial`, takes the new path or the old one, and lets errors fly: the trial counts requests,
errors and seconds by variant, and /metrics shows the counts to Prometheus. The rest pretends to be a model.
"""

import logging
import os
import random
import time
from dataclasses import dataclass

from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.serving import make_server

import wavegate

#: Models fail now and then, new and old ones alike.
BASE_ERROR_SHARE = 0.01

#: What a view gives to Flask: a JSON body, and a status unless it is 200.
Answer = dict[str, object] | tuple[dict[str, object], int]


@dataclass
class Faults:
    """What is wrong with a feature's candidate; set from outside, to see whether anybody notices."""

    error_share: float = 0.0
    latency: float = 0.0


class ModelError(Exception):
    """The model gave no usable answer."""


def make_app(client: wavegate.Client) -> Flask:
    """The product: two features, their metrics, and a way to break them."""
    app = Flask(__name__)
    faults = {"ai-summaries": Faults(), "ai-answers": Faults()}

    @app.get("/summarize")
    def summarize() -> Answer:
        return serve("ai-summaries", new="Three points, well put.", old="The first three lines.")

    @app.get("/ask")
    def ask() -> Answer:
        return serve("ai-answers", new="An answer in your words.", old="Ten links.")

    def serve(feature: str, *, new: str, old: str) -> Answer:
        trial = client.trial(feature, request.args["user"])
        try:
            with trial:
                think(faults[feature] if trial.enabled else Faults())
                return {"variant": trial.variant, "text": new if trial.enabled else old}
        except ModelError as error:
            return {"variant": trial.variant, "error": str(error)}, 503

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    @app.put("/faults/<feature>")
    def set_faults(feature: str) -> Answer:
        if feature not in faults:
            return {"error": f"no feature {feature!r}; one of {', '.join(faults)}"}, 404
        faults[feature] = Faults(**request.get_json())
        return {"feature": feature}

    return app


def think(faults: Faults) -> None:
    """What a model does: it takes its time, and now and then it fails."""
    time.sleep(random.uniform(0.004, 0.012) + faults.latency)  # noqa: S311 - nothing secret here
    if random.random() < max(BASE_ERROR_SHARE, faults.error_share):  # noqa: S311
        raise ModelError("the model gave no usable answer")


def main() -> None:
    """Serve on this machine until told to end."""
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
    client = wavegate.Client(os.environ["WAVEGATE_URL"], os.environ["WAVEGATE_SDK_KEY"])
    server = make_server("127.0.0.1", int(os.environ["PORT"]), make_app(client), threaded=True)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    client.wait_ready(10)
    print(f"serving url=http://127.0.0.1:{server.port}", flush=True)  # noqa: T201 - for whoever started it
    server.serve_forever()


if __name__ == "__main__":
    main()
