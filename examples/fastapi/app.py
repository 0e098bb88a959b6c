"""A FastAPI app with one feature behind a flag: an answer by a model, word by word, or a link to the handbook."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from prometheus_client import make_asgi_app

import wavegate

HANDBOOK = "See the handbook, page 12."


def create_app(gate: wavegate.Client | None = None) -> FastAPI:
    """The app; tests pass a client of their own."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.gate = gate or wavegate.Client(os.environ["WAVEGATE_URL"], os.environ.get("WAVEGATE_SDK_KEY"))
        with app.state.gate:
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/metrics", make_asgi_app())
    app.get("/answer/{user_id}")(answer)
    app.post("/feedback/{user_id}", status_code=204)(feedback)
    return app


def client(request: Request) -> wavegate.Client:
    """For views that ask for it."""
    gate: wavegate.Client = request.app.state.gate
    return gate


Gate = Annotated[wavegate.Client, Depends(client)]


async def answer(user_id: str, gate: Gate) -> StreamingResponse:
    """The trial lasts as long as the stream: who hangs up in the middle is no outcome."""

    async def words() -> AsyncIterator[str]:
        async with gate.trial("ai-answers", user_id, slow_after=3.0) as trial:
            if not trial.enabled:
                yield HANDBOOK
                return
            async for token in completed("Where is the switch?"):
                yield token

    return StreamingResponse(words(), media_type="text/plain")


async def feedback(user_id: str, gate: Gate, *, thumbs_up: bool) -> None:
    """Whose answer it was, the SDK knows."""
    gate.feedback("ai-answers", user_id, thumbs_up=thumbs_up)


async def completed(question: str) -> AsyncIterator[str]:
    """Where a model would be asked."""
    for token in ("In", " short:", f" {len(question.split())}", " words,", " one", " switch."):
        await asyncio.sleep(0)
        yield token
