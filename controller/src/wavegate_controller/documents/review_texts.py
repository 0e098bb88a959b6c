"""The review of a wave as Markdown, from its document: for terminals, for paper, and for people outside of Wavegate."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

#: From here on digits behind the point tell nothing.
_WHOLE: Final = 1000

Document = Mapping[str, Any]


def review_to_markdown(review: Document) -> str:
    """All of it, a heading for each part."""
    wave = review["wave"]
    seen = "as it was signed, seen" if review["is_kept"] else "seen"
    variants = f"**{_plain(review['candidate'])}** instead of {_plain(review['stable'])}"
    until = f" until {_time(wave['until'])}" if wave["until"] else ""
    lines = [
        f"# Review of wave {wave['number']} of {wave['of']}: {review['flag']}",
        "",
        f"{wave['percent']:g} % of users get {variants} in {review['environment']},",
        f"since {_time(wave['since'])}{until}.",
        f"Rollout {review['rollout']}, {seen} {_time(review['at'])}.",
        "",
        *_gates(review),
        *_incidents(review["incidents"]),
        *_feedback(review),
        *_costs(review["costs"]),
        *_next(review["next"]),
        *_decided(review),
    ]
    return "\n".join(lines) + "\n"


def figure(value: float | None, unit: str) -> str:
    """A number as its unit wants it."""
    if value is None:
        return ""
    return f"{100 * value:.3g} %" if unit.startswith("share") else _number(value)


def beside(gate: Document) -> str:
    """Its value beside its limit; candidate and stable where they are compared."""
    if gate["candidate"] is None:
        if gate["value"] is None:
            return ""
        return _number(gate["value"]) + ("" if gate["limit"] is None else f" (limit {gate['limit']:g})")
    told = figure(gate["candidate"], gate["unit"])
    return told if gate["stable"] is None else f"{told} beside {figure(gate['stable'], gate['unit'])}"


def _gates(review: Document) -> Iterator[str]:
    judged = review["judged_at"]
    yield "## Gates"
    yield ""
    yield f"Looked at {_time(judged)}." if judged else "Not looked at yet."
    for gate in review["gates"]:
        said = (
            "not looked at yet" if gate["verdict"] is None else f"{_words(gate['verdict'])} ({_words(gate['reason'])})"
        )
        numbers = beside(gate)
        yield ""
        yield f"**{_plain(gate['name'])}: {said}**" + (f", {numbers}" if numbers else "")
        yield ""
        yield f"- {_plain(gate['rule'])}"
        if gate["verdict"] is not None:
            yield f"- {_plain(gate['sentence'])}"
    yield ""


def _incidents(incidents: Sequence[Document]) -> Iterator[str]:
    yield "## Incidents"
    yield ""
    for each in incidents:
        until = f" to {_time(each['until'])}" if each["until"] and each["until"] != each["since"] else ""
        yield f"- {_time(each['since'])}{until}: **{_words(each['kind'])}**: {_plain(said_by(each))}"
    if not incidents:
        yield "None."
    yield ""


def _feedback(review: Document) -> Iterator[str]:
    yield "## Feedback"
    yield ""
    for each in review.get("thumbs", ()):
        yield f"- {_plain(each['variant'])}: {told_thumbs(each)}"
    yield ""
    yield "Kept one by one:"
    yield ""
    for each in review["answers"]:
        yield f"- {_plain(each['variant'])}: {told_answers(each)}"
    if review["comments"]:
        yield ""
        for said in review["comments"]:
            words = "*taken away*" if said["is_erased"] else _quoted(said["comment"])
            yield f"- {'up' if said['thumbs_up'] else 'down'} ({_plain(said['variant'])}): {words}"
    if review["further_comments"]:
        yield f"- and {review['further_comments']} more"
    yield ""


def told_thumbs(thumbs: Document) -> str:
    """How many, and among how many requests."""
    share = 100 * thumbs["down"] / thumbs["requests"]
    return (
        f"{share:.3g} % of requests with a thumbs down; {thumbs['down']:,.0f} down and {thumbs['up']:,.0f} up among "
        f"{thumbs['requests']:,.0f}"
    )


def told_answers(answers: Document) -> str:
    """How many, and which share of them is down."""
    up, down = answers["up"], answers["down"]
    if not up + down:
        return "no answers that are kept"
    return f"{up} up, {down} down ({100 * down / (up + down):.3g} % down)"


def _costs(costs: Sequence[Document]) -> Iterator[str]:
    yield "## Cost so far in this wave"
    yield ""
    for each in costs:
        yield f"- {told_cost(each)}"
    if not costs:
        yield "No gate counts it: a gate of kind `value` on `cost_usd` or `tokens` does."
    yield ""


def told_cost(cost: Document) -> str:
    """What the candidate took, and how much more that is."""
    spent = f"{_number(cost['candidate'])} {cost['what']}"
    return spent if cost["more"] is None else f"{spent}, {_more(cost['more'])} than stable for the same requests"


def _next(following: Document | None) -> Iterator[str]:
    yield "## An hour of the next wave, going by this one"
    yield ""
    if following is None:
        yield "Nothing can be said: no wave follows, or nothing was counted by variant."
        yield ""
        return
    yield f"- {told_next(following)}"
    if following.get("users"):
        yield f"- {told_users(following['users'])}"
    for each in following["extras"]:
        yield f"- {_plain(each['gate'])}: {told_extra(each)}"
    yield ""


def told_next(following: Document) -> str:
    """Whom it reaches, and what it serves."""
    low, high = following.get("low_requests"), following.get("high_requests")
    between = "" if low is None or high is None else f" (95 %: {_number(low)} to {_number(high)})"
    return (
        f"{following['percent']:g} % of users; about {_number(following['next_requests'])} requests an hour{between}, "
        f"{_number(following['requests'])} now"
    )


def told_users(users: Document) -> str:
    """How many have it, and how many more will."""
    within = f"95 %: {users['low']:,.0f} to {users['high']:,.0f}"
    return f"{users['seen']:,.0f} users have seen it so far, about {users['more']:,.0f} more will ({within})"


def told_extra(extra: Document) -> str:
    """What is expected more of, with its interval and its budget."""
    between = "" if extra["low"] is None else f" (95 %: {_more(extra['low'])} to {_more(extra['high'])})"
    budget = "" if extra["budget"] is None else f"; the budget is {_number(extra['budget'])}"
    over = ", which it may go over" if extra["over"] else ""
    return f"{_more(extra['next'])} {extra['what']} than stable{between}{budget}{over}{_burn(extra)}"


def _burn(extra: Document) -> str:
    """How fast the error budget goes; a review that was kept before there were objectives says nothing of it."""
    if not (burn := extra.get("burn")):
        return ""
    between = "" if burn["low"] is None else f" (95 %: {_number(burn['low'])} to {_number(burn['high'])})"
    return (
        f"; the error budget of {burn['objective']:.6g} goes at {_number(burn['next'])} times the speed at which it "
        f"lasts{between}, with stable alone at {_number(burn['stable'])}"
    )


def _decided(review: Document) -> Iterator[str]:
    yield "## Decision"
    yield ""
    for each in review["decided"]:
        signed = " (this review was read)" if each["was_read"] else ""
        yield f"- {_time(each['at'])} **{_words(each['event'])}**{signed}: {_plain(said_by(each))}"
    approvals = review["approvals"]
    if approvals:
        yield f"- {len(approvals['given'])} of {approvals['needed']} approvals given"
    elif not review["decided"]:
        yield "None yet."
    yield ""
    yield f"Digest: `{review['digest']}`"


def said_by(each: Document) -> str:
    """A sentence that says who did it; those of people do by themselves."""
    who = each["by"] if "by" in each else each["actor"]
    return f"{each['sentence']} (by Wavegate)" if who == "wavegate" else str(each["sentence"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.4g}"


def _more(value: float) -> str:
    return f"{_number(abs(value))} {'more' if value >= 0 else 'less'}"


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"


def _words(code: str) -> str:
    return code.replace("_", " ")


def _plain(text: str) -> str:
    """People's words, none of which is taken for markup."""
    for each in "\\`*_[]<>#|~!&":
        text = text.replace(each, f"\\{each}")
    return " ".join(text.split())


def _quoted(text: str) -> str:
    return f"“{_plain(text)}”"
