"""An app that answers questions by a model. Which one, and how it is asked, is the value of a flag."""

import os
from typing import Any, Final

from flask import Flask, Response, request
from model import Model, TooLong, count
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from telemetry import GenAiMetrics

import wavegate

FLAG: Final = "answer-model"
#: What is done where no ruleset ever came.
SMALL: Final[dict[str, Any]] = {"model": "small", "layers": 1, "sentences": 1, "longest": 60}


def create_app(gate: wavegate.Client | None = None) -> Flask:
    """The app; tests pass a client of their own."""
    app = Flask(__name__)
    gate = gate or wavegate.Client(os.environ["WAVEGATE_URL"], os.environ.get("WAVEGATE_SDK_KEY"))
    model, metrics = Model(), GenAiMetrics()
    app.extensions["gen_ai_metrics"] = metrics

    @app.get("/answer/<user_id>")
    def answer(user_id: str) -> Response:
        """The answer as text, and in headers what made it."""
        question = request.args.get("question", "Where is the switch?")
        with gate.trial(FLAG, user_id, default=SMALL, slow_after=2.0) as trial:
            settings = dict(trial.value)
            name = settings.pop("model")
            with metrics.operation(model=name, flag=FLAG, variant=trial.variant) as operation:
                operation.read = count(question)
                words = []
                for word in model.write(question, **settings):
                    operation.chunk(1)
                    words.append(word)
            trial.tokens(input=operation.read, output=operation.written)
        return Response(" ".join(words), headers={"X-Model": name, "X-Tokens": str(operation.written)})

    @app.errorhandler(TooLong)
    def too_long(refusal: TooLong) -> tuple[str, int]:
        return str(refusal), 413

    @app.get("/metrics")
    def exposition() -> Response:
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    return app
