"""The questions of one tick: each once, and none to a server that is away."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.rollouts import NOW
from wavegate_controller.domain.measurement import Broken, BrokenReason, NoData, NoDataReason, Value
from wavegate_controller.service.asking import Asking

REFUSED = Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused")
LATE = Broken(reason=BrokenReason.TIMEOUT, detail="no complete answer")
FINE = Value(value=1.0)


class Scripted:
    """Answers each query by its own script; tells outages of the server apart from slow queries."""

    notice = None

    def __init__(self, answers, *, otherwise=FINE):
        self.answers = answers
        self.otherwise = otherwise
        self.asked = []

    def query(self, promql, *, at):
        self.asked.append(promql)
        return self.answers.get(promql, self.otherwise)


def ask(provider, *queries):
    """One after the other, in one thread."""
    with ThreadPoolExecutor(1) as executor:
        asking = Asking(provider, executor, at=NOW)
        return [future.result() for future in [asking.number(query) for query in queries]]


def test_the_same_query_is_asked_once_whoever_wants_to_know():
    provider = Scripted({})

    answers = ask(provider, "a", "b", "a", "a")

    assert provider.asked == ["a", "b"]
    assert answers == [FINE] * 4


@pytest.mark.parametrize("outage", [REFUSED, LATE])
def test_a_server_that_is_away_is_not_asked_a_thousand_times(outage):
    provider = Scripted({}, otherwise=outage)

    answers = ask(provider, *map(str, range(1000)))

    assert provider.asked == ["0", "1", "2", "vector(1)"]
    assert answers == [outage] * 1000


def test_a_few_slow_queries_do_not_silence_the_others():
    slow = {str(number): LATE for number in range(50)}
    provider = Scripted(slow)

    answers = ask(provider, *slow, "fine")

    assert answers[-1] == FINE
    assert len([each for each in provider.asked if each != "vector(1)"]) == 51


@pytest.mark.parametrize(
    "answer",
    [
        NoData(reason=NoDataReason.EMPTY_RESULT),
        *(Broken(reason=reason, detail="") for reason in BrokenReason if reason not in ("unreachable", "timeout")),
    ],
    ids=lambda answer: answer.reason,
)
def test_what_a_server_answers_is_no_outage(answer):
    provider = Scripted({}, otherwise=answer)

    ask(provider, *map(str, range(10)))

    assert len(provider.asked) == 10


def test_an_answer_between_two_failures_begins_the_count_anew():
    provider = Scripted({"ok": FINE}, otherwise=REFUSED)

    ask(provider, "1", "2", "ok", "3", "4")

    assert provider.asked == ["1", "2", "ok", "3", "4"]
