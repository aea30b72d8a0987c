"""The program of an image that runs CPython's own tests: it takes the place of netapp.native.main.

    IMAGE MODULE[:NUMBER] …

Of each module of `test`, all tests from that number on. For each it writes what it is before it runs it, and how it
ended afterwards, between control characters, for tests write, too.
"""

import _imp
import gc
import os
import re
import sys
import unittest
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace, TracebackType
from typing import NoReturn

import test.support as support  # type: ignore[import-not-found]
from test.support import os_helper, socket_helper

BEGIN, END = "\x02", "\x03"
KINDS = ("ok", "skip", "fail", "error")  # the last one that happened in a test is how it ended

_LISTS_FOLDER = ("test_decimal",)  # in its main, for tests that are files

_OF_THIS_RUN = re.compile("@test_[0-9]+_tmp|/proc/[0-9]+|/tmp/tmp[a-z0-9_]+|0x[0-9a-f]+|[0-9]{6,}")  # numbers and names

_Error = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


def tell(kind: str, text: str) -> None:
    os.write(1, f"{BEGIN}{kind} {text}{END}\n".encode("ascii", "backslashreplace"))


def told(error: BaseException | None) -> str:
    """What and why, in a line."""
    try:
        words = str(error)
    except Exception:
        words = "?"
    words = _OF_THIS_RUN.sub("…", words)
    if len(words) > 300:
        words = f"{words[:100]} … {words[-200:]}"  # an example of documentation that fails tells its error last
    return f"{type(error).__name__}: {words}".translate(dict.fromkeys(range(32), " "))


class Result(unittest.TestResult):
    def __init__(self, module: str, names: dict[int, tuple[int, str]]) -> None:
        super().__init__()
        self._module = module
        self._names = names  # by a test's id(): which one it is, and its name
        self._ended = "ok"
        self._why = ""

    def startTest(self, test: unittest.TestCase) -> None:
        self._ended, self._why = "ok", ""
        number, name = self._names[id(test)]
        tell("test", f"{number} {name}")

    def stopTest(self, test: unittest.TestCase) -> None:
        tell(self._ended, self._why)

    def _note(self, test: unittest.TestCase, kind: str, why: str) -> None:
        if id(test) not in self._names:  # what a class or a module sets up
            tell("test", f"0 {self._module}.{test.id()}")
            tell(kind, why)
        elif KINDS.index(kind) > KINDS.index(self._ended):
            self._ended, self._why = kind, why

    def addSuccess(self, test: unittest.TestCase) -> None:
        pass

    def addExpectedFailure(self, test: unittest.TestCase, err: _Error) -> None:
        pass

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._note(test, "fail", "unexpected success")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._note(test, "skip", told(unittest.SkipTest(reason)))

    def addError(self, test: unittest.TestCase, err: _Error) -> None:
        self._note(test, "error", told(err[1]))

    def addFailure(self, test: unittest.TestCase, err: _Error) -> None:
        self._note(test, "fail", told(err[1]))

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: _Error | None) -> None:
        if err is not None:
            self._note(test, "fail" if isinstance(err[1], test.failureException) else "error", told(err[1]))


def flat(tests: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


class Module:
    """A module's tests, of which those from `first` on are run. They come in one suite or, by its own main, several."""

    def __init__(self, name: str, first: int) -> None:
        self.name = name
        self._left_out = max(first - 1, 0)
        self._count = 0
        self._seen: Counter[str] = Counter()

    def run(self) -> None:
        tell("module", self.name)
        try:
            module = import_module(f"test.{self.name}")
            support._run_suite = self._run
            if self.name in _LISTS_FOLDER:
                module.os = SimpleNamespace(listdir=lambda folder: ())  # type: ignore[attr-defined]
            if hasattr(module, "test_main"):
                module.test_main()
            else:
                self._run(unittest.defaultTestLoader.loadTestsFromModule(module))
        except BaseException as error:
            tell("test", f"0 {self.name}")
            tell("skip" if isinstance(error, unittest.SkipTest) else "error", told(error))

    def _run(self, suite: unittest.TestSuite) -> None:
        tests = list(flat(suite))
        names: dict[int, tuple[int, str]] = {}
        for test in tests:
            self._count += 1
            label = test.id().removeprefix("test.")
            if not label.startswith(self.name + "."):  # one of documentation
                label = f"{self.name}.{label}"
            self._seen[label] += 1
            names[id(test)] = self._count, f"{label}#{self._seen[label]}" if self._seen[label] > 1 else label
        unittest.TestSuite(tests[self._left_out :]).run(Result(self.name, names))
        self._left_out = max(self._left_out - len(tests), 0)


def _ask_ahead() -> None:
    """What decorators of tests ask when their module is imported, which fails where there are no files or sockets."""
    try:
        os_helper.can_chmod()
    except OSError:
        os_helper._can_chmod = False
    try:
        socket_helper.skip_unless_bind_unix_socket(main)
    except OSError as error:
        socket_helper._bind_nix_socket_error = error
    support.has_no_debug_ranges = lambda: False  # asks a module in C that is not there, and skips whole modules then


def main() -> NoReturn:
    support.use_resources = []  # neither much time nor much of anything else
    _imp._override_frozen_modules_for_tests = lambda how: None  # type: ignore[attr-defined]  # there are no others
    _ask_ahead()
    # Of test_inspect; it brings in tests of importlib, which need its text.
    sys.modules["test.test_import"] = SimpleNamespace(_ready_to_import=None)  # type: ignore[assignment]
    for word in sys.argv[1:]:
        if "=" not in word:  # which a hypervisor adds
            name, _, first = word.partition(":")
            Module(name, int(first or 0)).run()
            gc.collect()
    tell("end", "")
    os._exit(0)  # whatever threads are left of tests that failed
