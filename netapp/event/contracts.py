"""The base classes of what a platform provides. The contracts are in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")


class Clock:
    def __cinit__(self):
        if type(self) is Clock:  # now() cannot raise
            raise TypeError("Clock is a contract: a platform implements it")

    def now(self):
        return 0


class WallClock:
    def nanoseconds(self):
        raise NotImplementedError(f"{type(self).__name__}.nanoseconds")


class Entropy:
    def random_bytes(self, count):
        raise NotImplementedError(f"{type(self).__name__}.random_bytes")


class InterruptHandler:
    def interrupt(self):
        raise NotImplementedError(f"{type(self).__name__}.interrupt")


class InterruptFunction:
    def __cinit__(self, function):
        self.function = function

    def interrupt(self):
        self.function()
        return 0


class Interrupts:
    def dispatch(self):
        raise NotImplementedError(f"{type(self).__name__}.dispatch")

    def wait(self, timeout):
        raise NotImplementedError(f"{type(self).__name__}.wait")

    def attach(self, source, handler):
        raise NotImplementedError(f"{type(self).__name__}.attach")

    def detach(self, source):
        raise NotImplementedError(f"{type(self).__name__}.detach")

    def wake(self):
        raise NotImplementedError(f"{type(self).__name__}.wake")
