"""From a ruleset and an evaluation context to OFREP's documents: pure, and made ahead as far as can be.

Every answer that a flag can give is rendered when the flag is compiled; what is left for a request is to pick.
"""

import json
from collections.abc import Callable, Mapping
from hashlib import blake2b
from http import HTTPStatus
from itertools import starmap
from typing import Any, Final, NoReturn, TypeAlias

from wavegate.evaluation import (
    CompiledFlag,
    ErrorCode,
    EvaluationDetails,
    Flag,
    Reason,
    Ruleset,
)
from wavegate.evaluation.compiling import Compiler
from wavegate_controller.delivery.exposures import Cell, Exposures, Users

#: What OFREP knows; for everything else the word is UNKNOWN, and the metadata has ours.
_REASONS: Final = frozenset({Reason.STATIC, Reason.TARGETING_MATCH, Reason.SPLIT, Reason.DISABLED})
#: The name of the targeting key in a context.
_KEY: Final = "targetingKey"

Context: TypeAlias = dict[str, Any]
#: Where users are counted who were drawn, who they are, and the attribute that was drawn by, if not the key.
Seen: TypeAlias = tuple[Cell, Users, str | None]


class Refused(Exception):
    """A request that cannot be evaluated at all."""

    def __init__(self, code: ErrorCode, details: str) -> None:
        super().__init__(details)
        self.code = code


class Answer:
    """One answer, rendered, and where it is counted."""

    __slots__ = ("body", "cell", "seen", "status")

    def __init__(self, body: bytes, status: int, cell: Cell, seen: Seen | None = None) -> None:
        self.body = body
        self.status = status
        self.cell = cell
        self.seen = seen


#: What was served before, and what was compiled of it.
Before: TypeAlias = tuple[Ruleset, Mapping[str, CompiledFlag[Answer]]]


class Evaluator:
    """One revision, ready to be asked.

    Flags are compiled when they are first asked for: all at once would hold up everybody else for the time that it
    takes. A flag that is as it was in the revision before is not compiled again.

    Args:
        ruleset: what is evaluated.
        version: names its content; two rulesets with one version are the same.
        exposures: where answers are counted.
        before: the evaluator of the revision before, if there is one.

    Attributes:
        ruleset: what is evaluated.
        metadata: of the flag set, rendered.
    """

    def __init__(self, ruleset: Ruleset, version: str, exposures: Exposures, before: "Evaluator | None" = None) -> None:
        self.ruleset = ruleset
        self._version = version.encode()[-64:]
        self.metadata = _dump({"environment": ruleset.environment, "revision": ruleset.revision})
        self._exposures = exposures
        self._compiler = Compiler(ruleset)
        #: Of the flags that were asked so far.
        self.compiled: dict[str, CompiledFlag[Answer]] = {}
        self._all: list[Callable[[Any, Context], Answer]] | None = None
        self._before: Before | None = None
        if before is not None and _is_same(before.ruleset.segments, ruleset.segments):
            # Not the evaluator itself, which knows its own predecessor, and so all of them.
            self._before = before.ruleset, before.compiled
        exposures.keep(ruleset.flags)

    def one(self, flag_key: str, context: Context) -> Answer | None:
        """The answer of one flag, counted; None where there is no such flag, which is counted as well."""
        compiled = self.compiled.get(flag_key) or self._compile(flag_key)
        if compiled is None:
            self._exposures.evaluations("", None, Reason.ERROR)[0] += 1
            return None
        key = context.pop(_KEY, None)
        answer = compiled.choose(key, context)
        answer.cell[0] += 1
        if answer.seen is not None:
            exposed, users, by = answer.seen
            users.see(hash(key if by is None else context.get(by)), exposed)
        return answer

    def all(self, context: Context) -> bytes:
        """The answers of all flags, counted, as the members of a JSON array."""
        asked = self._all
        if asked is None:
            compiled = (self.compiled.get(key) or self._compile(key) for key in self.ruleset.flags)
            asked = self._all = [flag.choose for flag in compiled if flag is not None]
        key = context.pop(_KEY, None)
        answers = [choose(key, context) for choose in asked]
        user = hash(key)
        place, mask = user >> 3, 1 << (user & 7)
        for answer in answers:
            answer.cell[0] += 1
            if answer.seen is not None:
                exposed, users, by = answer.seen
                # Most were seen before, and a call takes longer than to look.
                if by is not None:
                    users.see(hash(context.get(by)), exposed)
                elif not users.bits[place & users.last] & mask:
                    users.see(user, exposed)
        return b",".join([answer.body for answer in answers])

    def etag(self, context: Context) -> bytes:
        """A validator of all answers to this context: it changes with the ruleset and with the context."""
        text = json.dumps(context, sort_keys=True, separators=(",", ":"))
        return b'"%s"' % blake2b(text.encode(), digest_size=12, key=self._version).hexdigest().encode()

    def _compile(self, flag_key: str) -> CompiledFlag[Answer] | None:
        flag = self.ruleset.flags.get(flag_key)
        if flag is None:
            return None
        compiled = self._unchanged(flag) or self._afresh(flag)
        self.compiled[flag_key] = compiled
        return compiled

    def _unchanged(self, flag: Flag) -> CompiledFlag[Answer] | None:
        if self._before is None or flag.prerequisites:
            # What needs other flags changes with them.
            return None
        ruleset, compiled = self._before
        return compiled.get(flag.key) if _is_same(ruleset.flags.get(flag.key), flag) else None

    def _afresh(self, flag: Flag) -> CompiledFlag[Answer]:
        users = self._exposures.users(flag)
        values = _rendered(flag)

        def present(answer: EvaluationDetails) -> Answer:
            cell = self._exposures.evaluations(answer.flag_key, answer.variant, answer.reason)
            if answer.error_code is not None:
                body = failure(answer.flag_key, answer.error_code, answer.error_message or "")
                return Answer(body, HTTPStatus.BAD_REQUEST, cell)
            exposed = self._exposures.exposed(answer)
            seen = None if exposed is None else (exposed, users, flag.bucket_by)
            return Answer(_success(answer, values), HTTPStatus.OK, cell, seen)

        return self._compiler.compile(flag, present)


def read_context(body: bytes) -> Context:
    """The evaluation context of a request. One without a targeting key will do for flags that need none.

    Raises:
        Refused: it is no context.
    """
    try:
        document = _READER.decode(body.decode())
    except RecursionError:
        raise Refused(ErrorCode.PARSE_ERROR, "the body is nested too deeply") from None
    except ValueError as problem:
        raise Refused(ErrorCode.PARSE_ERROR, f"the body is not JSON: {problem}") from None
    if type(document) is not dict:
        raise Refused(ErrorCode.PARSE_ERROR, 'the body is no JSON object; send {"context": {…}}')
    context = document.get("context")
    if context is None:
        return {}
    if type(context) is not dict:
        raise Refused(ErrorCode.INVALID_CONTEXT, "context is no object; send one with a targetingKey")
    key = context.get(_KEY)
    if key is not None and type(key) is not str:
        raise Refused(ErrorCode.INVALID_CONTEXT, "context.targetingKey is no string; send one")
    return context


def failure(flag_key: str, code: str, details: str) -> bytes:
    """What is answered for a flag that could not be evaluated."""
    return _dump({"key": flag_key, "errorCode": code, "errorDetails": details})


def bulk_failure(code: str, details: str) -> bytes:
    """What is answered where nothing could be evaluated."""
    return _dump({"errorCode": code, "errorDetails": details})


def _is_same(one: object, other: object) -> bool:
    """To Python 1, 1.0 and True are equal; as text they are not."""
    return one == other and repr(one) == repr(other)


def _success(answer: EvaluationDetails, values: Mapping[str, Any]) -> bytes:
    known = answer.reason in _REASONS
    document = {
        "key": answer.flag_key,
        "value": values[answer.variant or ""],
        "reason": answer.reason if known else Reason.UNKNOWN,
        "variant": answer.variant,
    }
    return _dump(document if known else document | {"metadata": {"reason": answer.reason}})


def _rendered(flag: Flag) -> Mapping[str, Any]:
    """The values by variant. Of a flag with a fraction among its numbers all are written so: 2.0, not 2.

    A client that asks for a float refuses an integer where its language tells them apart.
    """
    kinds = {type(value) for value in flag.variants.values()}
    if kinds != {int, float}:
        return flag.variants
    return dict(starmap(_as_float, flag.variants.items()))


def _as_float(name: str, value: float) -> tuple[str, float]:
    try:
        return name, float(value)
    except OverflowError:
        return name, value


def _dump(document: object) -> bytes:
    # Escaped, because a key in an address may hold what has no UTF-8 form.
    return json.dumps(document, separators=(",", ":")).encode()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON has")


#: Made once: `json.loads` makes one for each document if it is told anything about constants.
_READER: Final = json.JSONDecoder(parse_constant=_no_constant)
