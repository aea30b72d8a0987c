"""Cython's plugin for coverage, told that the C files are not beside the sources but in build/trace/c."""

from pathlib import Path

from Cython.Coverage import Plugin

ROOT = Path(__file__).resolve().parent.parent


class TracePlugin(Plugin):
    def _find_source_files(self, filename: str) -> tuple[str | None, str | None]:
        path = Path(filename)
        for top in (ROOT / "build/trace/lib", ROOT):
            if path.is_relative_to(top):
                name = path.relative_to(top).parent / path.name.partition(".")[0]
                c_file, source = ROOT / "build/trace/c" / name.with_suffix(".c"), ROOT / name.with_suffix(".py")
                return (str(c_file), str(source)) if c_file.exists() else (None, None)
        return None, None

    def file_reporter(self, filename: str) -> object:
        found = super().file_reporter(filename)
        if found is None and filename.endswith(".pxd"):
            # Its inline functions are compiled into whoever calls them.
            for c_file in sorted((ROOT / "build/trace/c").rglob("*.c")):
                self._read_source_lines(str(c_file), filename)
                if filename in (self._c_files_map or ()):
                    return super().file_reporter(filename)
        return found


def coverage_init(registry: object, options: object) -> None:
    registry.add_file_tracer(TracePlugin())  # type: ignore[attr-defined]
