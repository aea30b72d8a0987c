"""Builds the machine modules: every X.py with an X.pxd beside it is compiled; a .pxd alone only declares.

NETAPP_VARIANT   release (default), debug (bounds, None and overflow checks, AddressSanitizer) or trace (coverage)
NETAPP_ONLY      build only what lies under these prefixes, e.g. netapp/iobuf,netapp/ebb/core
NETAPP_SKIP_EXT  not empty: build no extension at all (editable install; `make build` compiles in place)

Release is built in place or into a wheel; debug and trace always go to build/VARIANT/lib, with every plain module
beside them, so that PYTHONPATH=build/debug/lib runs the same program.
"""

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from netapp.compiling import C_FLAGS, RELEASE_FLAGS, cythonized, leave_arguments_unchecked, locked, release_macros  # noqa: E402

INSTALLED = ("netapp", "appliances")
FOLDERS = (*INSTALLED, "bench")
VARIANT = os.environ.get("NETAPP_VARIANT") or "release"
ONLY = tuple(p.strip("/") for p in os.environ.get("NETAPP_ONLY", "").split(",") if p.strip("/"))
JOBS = len(os.sched_getaffinity(0))

C_VARIANT: dict[str, tuple[list[str], list[str]]] = {  # compile, link
    "release": (RELEASE_FLAGS, []),
    "debug": (
        ["-O1", "-g1", "-UNDEBUG", "-fno-omit-frame-pointer", "-fsanitize=address", "-DNETAPP_DEBUG=1"],
        ["-fsanitize=address"],
    ),
    "trace": (
        ["-O1", "-g0", "-DCYTHON_TRACE=1", "-DCYTHON_TRACE_NOGIL=1", "-DCYTHON_USE_SYS_MONITORING=0"],
        [],
    ),
}
CHECKS: dict[str, dict[str, bool]] = {
    "release": {},
    "debug": {"nonecheck": True, "overflowcheck": True, "initializedcheck": True},
    "trace": {"linetrace": True},
}


def modules() -> list[Extension]:
    """The extensions to build, in their order on disk."""
    if VARIANT not in C_VARIANT:
        raise SystemExit(f"NETAPP_VARIANT={VARIANT}: choose release, debug or trace")
    compile_flags, link_flags = C_VARIANT[VARIANT]
    found = []
    for pxd in sorted(p for folder in FOLDERS for p in Path(folder).rglob("*.pxd")):
        source, name = pxd.with_suffix(".py"), pxd.with_suffix("")
        if pxd.stem == "__init__" or not source.exists():
            continue
        if ONLY and not any(name.is_relative_to(p) or name.as_posix() == p.removesuffix(".py") for p in ONLY):
            continue
        module = ".".join(name.parts)
        quiet = release_macros(module) if VARIANT == "release" else []
        found.append(
            Extension(
                module,
                [source.as_posix()],
                include_dirs=["."],
                extra_compile_args=C_FLAGS + compile_flags + quiet,
                extra_link_args=list(link_flags),
            )
        )
    return found


def leave_pointers_unchecked() -> None:
    """With overflowcheck, the pinned Cython checks `pointer - pointer` as if both were integers (cython issue 4921)."""
    from Cython.Compiler.ExprNodes import SubNode

    analyse = SubNode.analyse_c_operation

    def patched(node: SubNode, env: object) -> None:
        analyse(node, env)
        if node.operand1.type.is_ptr or node.operand1.type.is_array:
            node.overflow_check = False

    SubNode.analyse_c_operation = patched
    multiprocessing.set_start_method("fork", force=True)  # the patch must reach the workers


class Build(build_ext):
    """cythonize, then compile: both in parallel and only what changed."""

    def finalize_options(self) -> None:
        if VARIANT != "release":
            self.inplace = False
        if self.inplace or VARIANT != "release":
            self.build_lib, self.build_temp = f"build/{VARIANT}/lib", f"build/{VARIANT}/o"
        else:  # a wheel: the load generator and the plots are not installed
            self.distribution.ext_modules = [
                e for e in self.distribution.ext_modules or [] if e.name.partition(".")[0] in INSTALLED
            ]
        self.parallel = self.parallel or JOBS
        super().finalize_options()

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name))
        before = target.stat().st_mtime if target.exists() else 0.0
        super().build_extension(ext)
        if target.stat().st_mtime != before:
            print(f"netapp: compiled {ext.name}", flush=True)

    def run(self) -> None:
        if not self.extensions:
            return
        locks = locked(Path("build", VARIANT, "lock"), (e.name for e in self.extensions))
        missing = sum(not Path(self.get_ext_fullpath(e.name)).exists() for e in self.extensions)
        if missing > 1:
            print(f"netapp: compiling {missing} modules ({VARIANT}), which takes some minutes", flush=True)
        self.cythonize()
        super().run()
        if not ONLY:
            self.remove_orphans()
        if VARIANT != "release":
            self.copy_plain()
        for lock in locks:
            lock.close()

    def cythonize(self) -> None:
        from Cython.Compiler.Errors import CompileError

        if VARIANT == "debug":
            leave_pointers_unchecked()
        else:
            leave_arguments_unchecked()
        try:
            done = cythonized(
                self.extensions,
                Path("build", VARIANT, "c"),
                JOBS,
                CHECKS[VARIANT],
                emit_linenums=VARIANT == "debug",  # AddressSanitizer then names lines of the .py
            )
        except CompileError as error:  # Cython has shown where
            raise SystemExit(f"error: {error} does not compile") from None
        for extension in self.extensions:
            made = done[extension.name]
            extension.sources = made.sources
            extension.libraries = made.libraries  # "# distutils: libraries = …" in the .py
            extension.depends = [*made.depends, "setup.py", "netapp/compiling.py"]

    def remove_orphans(self) -> None:
        """Delete extensions whose source is gone: they would hide a plain module of the same name."""
        names = {e.name for e in self.extensions}
        for top in (Path("."), Path(self.build_lib)) if self.inplace else (Path(self.build_lib),):
            for so in (p for folder in FOLDERS for p in (top / folder).rglob("*.so")):
                relative = so.relative_to(top)
                if ".".join((*relative.parent.parts, relative.name.partition(".")[0])) not in names:
                    so.unlink()

    def copy_plain(self) -> None:
        """Make build/VARIANT/lib a whole tree: copy what is not compiled, remove what is gone."""
        top = Path(self.build_lib)
        for folder in FOLDERS:
            for source in Path(folder).rglob("*"):
                if source.is_file() and source.suffix not in (".so", ".pyc", ".pyi"):
                    target = top / source
                    if not target.exists() or target.stat().st_mtime_ns != source.stat().st_mtime_ns:
                        target.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy2(source, target)
            for target in (top / folder).rglob("*"):
                if target.is_file() and target.suffix not in (".so", ".pyc") and not target.relative_to(top).exists():
                    target.unlink()


class BuildPlain(build_py):
    """Makes the stubs first, which a wheel carries."""

    def run(self) -> None:
        subprocess.run([sys.executable, "tools/stubs.py"], check=True)
        super().run()


os.chdir(ROOT)
setup(
    ext_modules=[] if os.environ.get("NETAPP_SKIP_EXT") else modules(),
    cmdclass={"build_ext": Build, "build_py": BuildPlain},
)
