"""An executor that does what it is given at once, in the caller's thread: tests decide what happens in between."""

from concurrent.futures import Executor, Future


class InlineExecutor(Executor):
    """Everything is done when `submit` returns."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future
