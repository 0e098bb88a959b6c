"""What few observations can show."""

import pytest

from wavegate_controller.domain.small_samples import sentence, upper_bound


@pytest.mark.parametrize(
    ("bad", "of", "expected"),
    # None bad: 1 - 0.05^(1/n). Else the 95 % quantile of Beta(bad + 1, of - bad), as R's qbeta gives it.
    [(0, 12, 0.22092), (0, 5, 0.45072), (1, 20, 0.21611), (3, 20, 0.34366), (10, 20, 0.69805), (0, 10_000, 0.00029953)],
)
def test_the_bound_is_the_exact_one(bad, of, expected):
    assert upper_bound(bad, of) == pytest.approx(expected, rel=2e-4)


def test_nothing_is_known_of_nothing_and_all_bad_may_be_all():
    assert upper_bound(0, 0) == 1
    assert upper_bound(4, 4) == 1


def test_a_sentence_says_what_a_few_can_show():
    assert sentence(0, 12, what="failures", whom="people") == (
        "0 failures among 12 people: the true rate may still be 22 %"
    )
    assert sentence(0, 0, what="failures", whom="requests") == (
        "no requests yet: nothing is known of the rate of failures"
    )
