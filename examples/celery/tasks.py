"""A Celery task with one feature behind a flag: summaries by a model, or the first line.

Nobody scrapes workers, so the client posts what it counts to the controller.
"""

import os

from celery import Celery

import wavegate

PLACE = os.environ.get("CELERY_PLACE", "/tmp/wavegate-celery")  # noqa: S108 - an example's files

app = Celery("shop")
app.conf.update(
    # Files are the broker, so that nothing has to run besides. In earnest: redis://, amqp://.
    broker_url=os.environ.get("CELERY_BROKER_URL", "filesystem://"),
    broker_transport_options={
        "data_folder_in": f"{PLACE}/queue",
        "data_folder_out": f"{PLACE}/queue",
        "control_folder": f"{PLACE}/control",
        "polling_interval": 0.1,
    },
    result_backend=os.environ.get("CELERY_RESULT_BACKEND", f"file://{PLACE}/results"),
)
# Made in the parent; it goes on in each worker that is forked.
gate = wavegate.Client(os.environ["WAVEGATE_URL"], os.environ.get("WAVEGATE_SDK_KEY"), post_counts=True)


@app.task
@gate.trials("ai-digests", by="user_id", slow_after=30.0)
def digest(trial: wavegate.Trial, user_id: str, text: str) -> str:  # noqa: ARG001 - what `by` names
    """What callers pass is all but the trial: `digest.delay("ann", "a long text")`."""
    if not trial.enabled:
        return text.partition(".")[0]
    trial.cost_usd(0.0002 * len(text.split()))
    return digested(text)


def digested(text: str) -> str:
    """Where a model would be asked."""
    return f"In short: {len(text.split('. '))} things happened."
