"""A language model small enough for one file: it writes each word by what came before in the text it was trained on.

It stands where a provider's model would, and does what matters to whoever pays for one: it reads the question, takes
its time for it, says its first word late and the others one by one, stops by itself or where it must, and fails at
questions that are too long.
"""

import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

TEXT: Final = """
The main switch is on the left side of the rack. Turn it to the left and wait for the green light. The green light
says that the rack has power. If the light stays red, turn the switch to the right and wait for a minute. Then turn
it to the left and wait for the green light again. The fuse of the rack is behind the door on the right side. If the
fuse is black, take it out and put the new one in. The new one is in the box behind the door. Wait for a minute
before the door is closed again. The fan of the rack is on the back side. If the fan stays still, turn the switch to
the right and call the people of the night. The people of the night have the key of the door and the box. The box on
the back side is for the people of the day.
"""
#: Words that a question may have.
WINDOW: Final = 200
#: Rounds of hashing for each word that is read or written: the work of a layer.
_ROUNDS: Final = 40


class TooLong(ValueError):
    """The question does not fit."""


class Model:
    """Counted once, when the app starts."""

    def __init__(self, text: str = TEXT) -> None:
        self._words = _words(text)
        self._follow: dict[str, list[str]] = defaultdict(list)
        for word, after in zip(self._words, self._words[1:], strict=False):
            self._follow[word].append(after)
        self._starts = [after for word, after in zip(self._words, self._words[1:], strict=False) if word == "."]

    def write(self, question: str, *, layers: int, sentences: int, longest: int) -> Iterator[str]:
        """The answer, word by word as it comes.

        Args:
            question: the same one has the same answer.
            layers: how much is computed for each word.
            sentences: after which it stops.
            longest: words after which it is stopped.

        Raises:
            TooLong: the question does not fit.
        """
        read = _words(question)
        if len(read) > WINDOW:
            raise TooLong(f"{len(read)} words, and {WINDOW} fit")
        state = b""
        for word in read:
            state = _computed(state, word, layers)
        chance = random.Random(state)  # noqa: S311 - nothing secret is drawn
        known = [word for word in read if word in self._follow]
        word = chance.choice(self._follow[known[-1]] if known else self._starts)
        for _ in range(longest):
            state = _computed(state, word, layers)
            yield word
            sentences -= word == "."
            if not sentences:
                return
            word = chance.choice(self._follow[word])


def count(text: str) -> int:
    """Tokens of a text; here a token is a word."""
    return len(_words(text))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[.,?!]", text.lower())


def _computed(state: bytes, word: str, layers: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", word.encode(), state, _ROUNDS * layers)
