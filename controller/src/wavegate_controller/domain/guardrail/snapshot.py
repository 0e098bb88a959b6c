"""A state as bytes, so that a restart need not fold a day of log again. The log stays the truth: this is a cache of it.

Floats are written so that they read back to the same bits.
"""

import json
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.guardrail.mean import MeanState
from wavegate_controller.domain.guardrail.policy import GuardrailPolicy, MetricKind
from wavegate_controller.domain.guardrail.share import ShareState
from wavegate_controller.domain.guardrail.state import State
from wavegate_controller.domain.guardrail.users import UsersState

#: Changes with the shape of any state: what was saved before is folded anew from the log.
_FORMAT: Final = 1
_KINDS: Final = {MetricKind.SHARE: ShareState, MetricKind.MEAN: MeanState, MetricKind.USERS: UsersState}


def save(state: State) -> bytes:
    """The state as bytes."""
    return json.dumps([_FORMAT, _plain(state)], separators=(",", ":")).encode()


def load(policy: GuardrailPolicy, data: bytes) -> State:
    """The state that was saved.

    Raises:
        Invalid: when it was saved in another format or under another policy; fold the log instead.
    """
    try:
        found, plain = json.loads(data)
        if found != _FORMAT:
            raise Invalid("state", f"format {found} is not {_FORMAT}", "a state saved by this release")
        values = dict(zip([field.name for field in fields(State)], plain, strict=True))
        metrics = tuple(
            _typed(_KINDS[metric.kind], each) for metric, each in zip(policy.metrics, values["metrics"], strict=True)
        )
        rest = {name: _typed(_hints(State)[name], value) for name, value in values.items() if name != "metrics"}
        state = State(metrics=metrics, **rest)
    except (ValueError, TypeError, KeyError) as error:
        raise Invalid("state", str(error), "a state saved under this policy") from error
    if len(state.slots) != len(policy.waves):
        raise Invalid("state", f"has {len(state.slots)} waves", f"{len(policy.waves)}, as the policy says")
    return state


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return [_plain(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _typed(hint: Any, plain: Any) -> Any:
    if plain is None:
        return None
    if get_origin(hint) in (UnionType, Union):  # all of our unions are "or None"
        hint = next(each for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is tuple:
        return tuple([_typed(get_args(hint)[0], each) for each in plain])
    if hint is datetime:
        return datetime.fromisoformat(plain)
    if is_dataclass(hint) or hasattr(hint, "_fields"):
        return hint(
            **{name: _typed(each, value) for (name, each), value in zip(_hints(hint).items(), plain, strict=True)}
        )
    return plain


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
