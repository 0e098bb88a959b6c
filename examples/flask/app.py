"""A Flask app with one feature behind a flag: summaries by a model, or the first sentence."""

import os

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import wavegate

TEXT = "The loop is closed. It took a while. Nobody was paged."


def create_app(gate: wavegate.Client | None = None) -> Flask:
    """The app; tests pass a client of their own."""
    app = Flask(__name__)
    gate = gate or wavegate.Client(os.environ["WAVEGATE_URL"], os.environ.get("WAVEGATE_SDK_KEY"))

    @app.get("/summary/<user_id>")
    @gate.trials("ai-summaries", by="user_id", slow_after=3.0)
    def summary(trial: wavegate.Trial, user_id: str) -> str:  # noqa: ARG001 # what `by` names
        return summarized(TEXT) if trial.enabled else TEXT.partition(".")[0]

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    return app


def summarized(text: str) -> str:
    """Where a model would be asked."""
    return f"In short: {len(text.split('. '))} things happened."
