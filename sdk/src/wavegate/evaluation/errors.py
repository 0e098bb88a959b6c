"""What the SDK refuses, and how it says so."""


class WavegateError(Exception):
    """The root of everything the SDK raises on purpose."""


class InvalidRuleset(WavegateError, ValueError):  # it is the ruleset that is wrong
    """A ruleset was refused; nothing of it is used.

    `path` says where (`flags.ai-summaries.rollout.weight`), `problem` what was found there and
    `expected` what would be right.
    """

    def __init__(self, path: str, problem: str, expected: str) -> None:
        super().__init__(f"{path}: {problem}; {expected}")
        self.path = path
        self.problem = problem
        self.expected = expected

    def __reduce__(self) -> tuple[type["InvalidRuleset"], tuple[str, str, str]]:
        return type(self), (self.path, self.problem, self.expected)

    def under(self, prefix: str) -> "InvalidRuleset":
        """The same refusal, seen from the document that holds the refused part."""
        return InvalidRuleset(f"{prefix}.{self.path}", self.problem, self.expected)
