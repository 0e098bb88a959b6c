"""Whether a value is of the type that a caller asked for; a module of its own, for clients need it from the start."""


def fits(value: object, default: object) -> bool:
    """Whether a caller who gave this default can use this value.

    An integer serves where a float was asked for, not the other way round; a boolean is no number;
    whoever gives None takes anything.
    """
    if default is None:
        return True
    wanted, given = type(default), type(value)
    if bool in (wanted, given):
        return wanted is given
    return issubclass(wanted, given) or (issubclass(wanted, float) and given is int)
