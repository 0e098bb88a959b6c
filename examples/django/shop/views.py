"""A reply drafted by a model for a customer's mail, or a form letter; and what was counted."""

from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

FORM_LETTER = "Thank you for your mail. We will be in touch."


def reply(request: HttpRequest, user_id: str) -> HttpResponse:
    """A model that fails is answered by the form letter, and counts as a fallback."""
    plan = request.GET.get("plan", "solo")
    with request.gate.trial("ai-replies", user_id, plan=plan, slow_after=3.0) as trial:
        if not trial.enabled:
            return HttpResponse(FORM_LETTER)
        try:
            return HttpResponse(drafted(request.GET.get("mail", "Where is my parcel?")))
        except ValueError:
            trial.fallback()
            return HttpResponse(FORM_LETTER)


def metrics(_request: HttpRequest) -> HttpResponse:
    """For Prometheus."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def drafted(mail: str) -> str:
    """Where a model would be asked."""
    words = mail.strip(" ?").split()
    if not words:
        raise ValueError("the model had nothing to go by")
    return f"In short: your {words[-1]} is on its way."
