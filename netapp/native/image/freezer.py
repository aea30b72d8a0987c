"""Python code as bytes: run by the image's own interpreter, which alone writes the form that it reads.

`python3.11 -I -S freezer.py < JSON`: a list of [module's name, file, name of the file in tracebacks, optimisation].
Writes to standard output a line of JSON, [[name, length], …], and then the code of all of them. In an order of its own
and in one process, for what one module has in common with those before it shows in the bytes.
"""

import json
import marshal
import sys


def main() -> None:
    lengths, blob = [], b""
    for name, path, shown, optimize in sorted(json.load(sys.stdin)):
        with open(path, "rb") as file:
            code = compile(file.read(), shown, "exec", dont_inherit=True, optimize=optimize)
        frozen = marshal.dumps(code)
        lengths.append((name, len(frozen)))
        blob += frozen
    sys.stdout.buffer.write(json.dumps(lengths).encode() + b"\n" + blob)


if __name__ == "__main__":
    main()
