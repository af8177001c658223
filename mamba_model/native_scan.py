"""The selective scan in C++, for training on a CPU: an option beside the one in scan.py.

XLA's loops pass through memory at every step of time; the code in native/ keeps a group of
channels in registers, and a whole training step gets about half again as fast. It is compiled
on first use with the system's C++ compiler, for this machine and the installed TensorFlow, and kept
in the user's cache folder.

    load()                    # raises NativeScanError where it cannot be had
    with native_scan():       # what is traced in here, for XLA and in float32, uses it
        ...                   # (the shapes must be known)

It is an XLA custom call, which only this process knows: a graph with it can't be saved for
another. `CompiledTraining` therefore uses it in the gradients of a training step and nowhere
else.
"""

import contextlib
import contextvars
import ctypes
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import tensorflow as tf

FOLDER = pathlib.Path(__file__).parent / "native"
_in_use = contextvars.ContextVar("native_scan", default=False)


class NativeScanError(RuntimeError):
    """The native scan cannot be built or loaded here; the message says what is missing."""


@contextlib.contextmanager
def native_scan() -> Iterator[None]:
    """Lets `selective_scan` use the native scan in what is traced inside. Loads it first.

    Raises:
        NativeScanError: where it cannot be built or loaded.
    """
    load()
    token = _in_use.set(True)
    try:
        yield
    finally:
        _in_use.reset(token)


def in_use(dtype) -> bool:
    """Whether `native_scan()` is on, for a scan of this dtype."""
    return _in_use.get() and dtype == tf.float32


@functools.cache
def load() -> None:
    """Makes the library's calls known to XLA, in this process.

    Raises:
        NativeScanError: where it cannot be built or loaded.
    """
    library = build()
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        raise NativeScanError(
            f"the native scan at {library} does not load: {error}; delete it to have it built again"
        ) from error


def scan(u, delta, A, B, C, initial_state, *, chunk: int):
    """The recurrence without D, under XLA only: `selective_scan`'s axes, A (n, d), all float32.

    Returns y (b, l, d) and the last state (b, n, d).

    Raises:
        ValueError: if a size is not known while tracing.
    """
    if not u.shape.is_fully_defined():
        raise ValueError(
            f"the native scan needs batches of one known shape, got {tuple(u.shape)}: "
            "batch with drop_remainder=True"
        )
    # The module holds ops that only a graph for XLA may have; TensorFlow has no public name.
    from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_custom_call_v2

    b, l, d = u.shape  # noqa: E741
    n = A.shape[0]
    state, borders = (b, n, d), (b, -(-l // chunk), n, d)

    def call(name, operands, shapes):
        return xla_custom_call_v2(
            operands,
            call_target_name=f"tf_mamba_scan_{name}",
            backend_config=f"{b},{l},{d},{n},{chunk}",
            has_side_effect=False,
            result_dtypes=[tf.float32] * len(shapes),
            result_shapes=shapes,
        )

    @tf.custom_gradient
    def run(u, delta, A, B, C, h0):
        inputs = [u, delta, A, B, C]
        y, last, kept = call("forward", [*inputs, h0], [u.shape, state, borders])

        def gradient(dy, dlast):
            shapes = [x.shape for x in (*inputs, h0)]
            return call("backward", [*inputs, kept, dy, dlast], shapes)

        return (y, last), gradient

    return run(u, delta, A, B, C, initial_state)


def compile_command(source: pathlib.Path, library: pathlib.Path, *options: str) -> list[str]:
    """How `source` is compiled to a shared library, for this machine's own instructions.

    Raises:
        NativeScanError: where there is no C++ compiler.
    """
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if not compiler:
        raise NativeScanError(
            "the native scan needs a C++ compiler, and neither g++ nor clang++ is on PATH: "
            "install one (on Debian: apt install g++), or train without it"
        )
    flags = ["-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-Wno-psabi"]
    return [compiler, *flags, str(source), "-o", str(library), *options]


def build() -> pathlib.Path:
    """The library's path, after compiling it where it isn't in the cache yet.

    Raises:
        NativeScanError: where it does not compile.
    """
    library = _library()
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        built = pathlib.Path(scratch, library.name)
        command = compile_command(FOLDER / "xla_calls.cc", built, *_tensorflow_options())
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise NativeScanError(
                "the native scan did not compile; train without it, or mend this: "
                f"{' '.join(command)}\n{done.stderr}"
            )
        built.rename(library)
    return library


def _tensorflow_options() -> list[str]:
    folder = pathlib.Path(tf.__file__).parent
    libraries = [f"-l:{path.name}" for path in sorted(folder.glob("libtensorflow_*.so.*"))]
    return [*tf.sysconfig.get_compile_flags(), f"-L{folder}", *libraries]


def _library() -> pathlib.Path:
    """Where the library for these sources, this compiler, machine and TensorFlow is kept."""
    # What the compiler predefines names its version and the instructions of this machine.
    asked = compile_command(pathlib.Path("-"), pathlib.Path("-"))
    predefined = subprocess.run(
        [asked[0], "-march=native", "-dM", "-E", "-x", "c++", "-"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    parts = [path.read_bytes() for path in sorted(FOLDER.iterdir())]
    parts += [" ".join(asked).encode(), predefined.stdout, tf.__version__.encode()]
    parts.append(str(pathlib.Path(tf.__file__).parent).encode())
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache, "tf-mamba", f"native_scan-{key}.so")
