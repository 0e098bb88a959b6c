"""Functions of which every call is a trial."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from wavegate.client.attributes import NO_ATTRIBUTES
from wavegate.client.checks import ConfigError
from wavegate.client.trial import Trial
from wavegate.evaluation.matching import Attributes

P = ParamSpec("P")
R = TypeVar("R")


def trials_of(
    function: Callable[Concatenate[Trial, P], R],
    begin: Callable[[Any, Attributes], Trial],
    by: str | Callable[..., Any],
    attributes: str | Callable[..., Attributes] | None,
) -> Callable[P, R]:
    """The function without its first parameter, which becomes the trial of each call.

    Raises:
        ConfigError: the function has no first parameter for the trial, or none with the name in `by` or `attributes`.
    """
    signature = _without_trial(function)
    key_of = _reader("by", by, signature, function)
    known_of = None if attributes is None else _reader("attributes", attributes, signature, function)

    def trial(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trial:
        return begin(key_of(args, kwargs), NO_ATTRIBUTES if known_of is None else known_of(args, kwargs))

    called: Any = _wrapped(function, trial)
    # For frameworks that look at parameters: the trial is none of the caller's.
    called.__signature__ = signature
    return called  # type: ignore[no-any-return] # the four kinds of functions have no type in common


def _wrapped(function: Callable[..., Any], trial: Callable[..., Trial]) -> Callable[..., Any]:
    """The same kind of function; where a body runs later than the call, the trial lasts as long as the body."""
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def stream(*args: Any, **kwargs: Any) -> Any:
            with trial(args, kwargs) as begun:
                async for item in function(begun, *args, **kwargs):
                    yield item

        return stream
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with trial(args, kwargs) as begun:
                return await function(begun, *args, **kwargs)

        return awaited
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generated(*args: Any, **kwargs: Any) -> Any:
            with trial(args, kwargs) as begun:
                return (yield from function(begun, *args, **kwargs))

        return generated

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with trial(args, kwargs) as begun:
            return function(begun, *args, **kwargs)

    return called


def _without_trial(function: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise ConfigError(f"{function.__qualname__}: has no first parameter; take the trial as the first")
    return signature.replace(parameters=parameters[1:])


def _reader(
    setting: str, source: str | Callable[..., Any], signature: inspect.Signature, function: Callable[..., Any]
) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    if not isinstance(source, str):
        return lambda args, kwargs: source(*args, **kwargs)
    if source not in signature.parameters:
        raise ConfigError(f"{setting}: {function.__qualname__} has no parameter {source!r} after the trial")

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments[source]

    return read
