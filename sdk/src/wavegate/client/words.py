"""What people said in words, for apps whose counts are scraped: comments alone are posted, from the first one on."""

import threading

from wavegate.client.config import Config
from wavegate.client.counters import Comment, Counters
from wavegate.client.poster import Poster


class Words:
    """Begins its thread with the first comment: most apps have none."""

    _poster: Poster | None

    def __init__(self, config: Config) -> None:
        self._config = config
        self._make()

    def say(self, said: Comment) -> None:
        """Hands a comment over, without waiting for the controller."""
        # Counters that count nothing else, so that what is scraped is not posted as well.
        self._counters.comments.append(said)
        with self._beginning:
            if self._poster is None and not self._is_stopped:
                self._poster = Poster(self._config, self._counters)
                self._poster.start()

    def stop(self) -> None:
        """Posts what is left, in two seconds at most."""
        with self._beginning:
            self._is_stopped = True
        if self._poster is not None:
            self._poster.stop()

    def flush(self) -> None:
        """Posts what is left, in two seconds at most."""
        if self._poster is not None:
            self._poster.flush()

    def after_fork(self) -> None:
        """In a forked child: what waits is the parent's to post."""
        if self._poster is not None:
            self._poster.abandon()
        self._make()

    def _make(self) -> None:
        self._beginning = threading.Lock()
        self._counters = Counters()
        self._poster = None
        self._is_stopped = False
