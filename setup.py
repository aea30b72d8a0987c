"""Builds the machine modules: every X.py with an X.pxd beside it is compiled; a .pxd alone only declares.

NETAPP_VARIANT   release (default), debug (bounds, None and overflow checks, AddressSanitizer) or trace (coverage)
NETAPP_ONLY      build only what lies under these prefixes, e.g. netapp/iobuf,netapp/ebb/core
NETAPP_SKIP_EXT  not empty: build no extension at all (editable install; `make build` compiles in place)

Release is built in place or into a wheel; debug and trace always go to build/VARIANT/lib, with every plain module
beside them, so that PYTHONPATH=build/debug/lib runs the same program.
"""

import fcntl
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
INSTALLED = ("netapp", "appliances")
FOLDERS = (*INSTALLED, "bench")
VARIANT = os.environ.get("NETAPP_VARIANT") or "release"
ONLY = tuple(p.strip("/") for p in os.environ.get("NETAPP_ONLY", "").split(",") if p.strip("/"))
JOBS = len(os.sched_getaffinity(0))

# -fno-strict-aliasing: headers are packed structs laid over the bytes of a slot.
C_FLAGS = [
    "-fwrapv",
    "-fno-strict-aliasing",
    "-Wno-unused-function",
    "-Wno-unused-variable",
    "-Wno-sign-compare",  # Cython's own comparisons mix signs
    "-Werror=implicit-function-declaration",
    "-Werror=int-conversion",
    "-Werror=incompatible-pointer-types",
]
C_VARIANT: dict[str, tuple[list[str], list[str]]] = {  # compile, link
    # Debian's -fstack-protector-strong guards every function with a local whose address is taken, which is most on a
    # packet's way (3 to 5 % of the instructions); this guards those with an array.
    "release": (["-O2", "-g0", "-fstack-protector"], []),
    "debug": (
        ["-O1", "-g1", "-UNDEBUG", "-fno-omit-frame-pointer", "-fsanitize=address", "-DNETAPP_DEBUG=1"],
        ["-fsanitize=address"],
    ),
    "trace": (
        ["-O1", "-g0", "-DCYTHON_TRACE=1", "-DCYTHON_TRACE_NOGIL=1", "-DCYTHON_USE_SYS_MONITORING=0"],
        [],
    ),
}
# Bounds and negative indices stay checked: C pointers never are, so it costs a predicted branch on lists and bytes
# only. Division means the same in every variant. Wrapping arithmetic opts out with @cython.overflowcheck(False).
MACHINE = {"language_level": 3, "cdivision": True, "initializedcheck": False}
# An appliance runs uncompiled too: there division and assertions must mean what they mean in Python.
APPLIANCE = {"language_level": 3, "annotation_typing": False}
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
        quiet = ["-DCYTHON_WITHOUT_ASSERTIONS=1"] if VARIANT == "release" and name.parts[0] != "appliances" else []
        found.append(
            Extension(
                ".".join(name.parts),
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


def leave_arguments_unchecked() -> None:
    """An annotated argument of a cfunc is `not None`, which its calls check: in debug only, as with nonecheck."""
    from Cython.Compiler.Nodes import CFuncDeclaratorNode

    analyse = CFuncDeclaratorNode.analyse

    def patched(node: CFuncDeclaratorNode, *arguments: object, **named: object) -> tuple:
        declarator, function = analyse(node, *arguments, **named)
        for argument in getattr(function, "args", ()):
            argument.not_none = False
        return declarator, function

    CFuncDeclaratorNode.analyse = patched
    multiprocessing.set_start_method("fork", force=True)  # the patch must reach the workers


@contextmanager
def progress_untold() -> Iterator[None]:
    """Drops what is printed, in this process and its workers. Errors go to standard error, which stays."""
    sys.stdout.flush()
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)


def may_share() -> bool:
    """Whether Cython's worker processes can share locks: not where this user may not write to /dev/shm."""
    try:
        multiprocessing.Lock()
    except OSError:
        return False
    return True


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
        locks = self.lock()
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

    def lock(self) -> list:
        """One lock a folder, so that two builds of a tree may run at once; sorted, so that they cannot deadlock."""
        folder = Path("build", VARIANT, "lock")
        folder.mkdir(parents=True, exist_ok=True)
        locks = []
        for name in sorted({e.name.rpartition(".")[0] for e in self.extensions}):
            locks.append((folder / name).open("w"))
            fcntl.flock(locks[-1], fcntl.LOCK_EX)
        return locks

    def cythonize(self) -> None:
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError

        if VARIANT == "debug":
            leave_pointers_unchecked()
        else:
            leave_arguments_unchecked()
        output = Path("build", VARIANT, "c")
        changed = Path("setup.py").stat().st_mtime
        for extension in self.extensions:
            c = output / Path(extension.sources[0]).with_suffix(".c")
            if c.exists() and c.stat().st_mtime < changed:
                c.unlink()
        for directives, group in (
            (MACHINE, [e for e in self.extensions if not e.name.startswith("appliances.")]),
            (APPLIANCE, [e for e in self.extensions if e.name.startswith("appliances.")]),
        ):
            try:
                with progress_untold():
                    done = cythonize(
                        group,
                        build_dir=str(output),
                        nthreads=JOBS if len(group) > 1 and may_share() else 0,
                        compiler_directives=directives | CHECKS[VARIANT],
                        emit_linenums=VARIANT == "debug",  # AddressSanitizer then names lines of the .py
                    )
            except CompileError as error:  # Cython has shown where
                raise SystemExit(f"error: {error} does not compile") from None
            by_name = {e.name: e for e in done}
            for extension in group:
                extension.sources = by_name[extension.name].sources
                extension.libraries = by_name[extension.name].libraries  # "# distutils: libraries = …" in the .py
                extension.depends = [*by_name[extension.name].depends, "setup.py"]

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
