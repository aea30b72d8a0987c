"""Python code as bytes: run by the image's own interpreter, which alone writes the form that it reads.

`python3.11 -I -S freezer.py < JSON`: a list of [module's name, file, name of the file in tracebacks, optimisation], and
the file of what `recorder` prints. Writes to standard output a line of JSON, [[name, length], …], and then the code of
all of them. In an order of its own and in one process, for what one module has in common with those before it shows in
the bytes.
"""

import ast
import json
import marshal
import re
import re._compiler as regular  # type: ignore[import-not-found]
import sys
from types import CodeType
from typing import Any

TEXTS = "_netapp_texts"


def main() -> None:
    lengths, blob = [], b""
    modules, texts = json.load(sys.stdin)
    for name, path, shown, optimize in sorted(modules):
        with open(path, "rb") as file:
            code = compile(file.read(), shown, "exec", dont_inherit=True, optimize=optimize)
        frozen = marshal.dumps(code)
        lengths.append((name, len(frozen)))
        blob += frozen
    with open(texts) as file:
        frozen = marshal.dumps(_made(ast.literal_eval(file.read())))
    lengths.append((TEXTS, len(frozen)))
    blob += frozen
    sys.stdout.buffer.write(json.dumps(lengths).encode() + b"\n" + blob)


def _made(asked: list[tuple[str, str | bytes, int]]) -> CodeType:
    """Code that is not for running: its constants are what was asked, and what that makes, see
    netapp/native/importer.py."""
    made = {}
    for kind, text, flags in asked:
        if kind != "re":
            made[kind, text, flags] = marshal.dumps(compile(text, "<string>", kind, dont_inherit=True))
        elif (arguments := _pattern(text, flags)) is not None:
            made[kind, text, flags] = marshal.dumps(arguments)
    return compile("", TEXTS, "exec").replace(co_consts=(tuple(made), tuple(made.values())))


def _pattern(text: str | bytes, flags: int) -> tuple[Any, ...] | None:
    """What `_sre.compile()` is called with; None: that depends on the locale, or there is an error in it."""
    arguments: list[Any] = []

    class Spy:
        def __getattr__(self, name: str) -> Any:
            return getattr(regular_sre, name)

        @staticmethod
        def compile(*given: Any) -> None:
            arguments[:] = given

    regular_sre, regular._sre = regular._sre, Spy()
    try:
        regular.compile(text, flags)
    except re.error:
        return None
    finally:
        regular._sre = regular_sre
    pattern, made_flags, code, *groups = arguments
    return None if made_flags & re.LOCALE else (pattern, int(made_flags), [int(one) for one in code], *groups)


if __name__ == "__main__":
    main()
