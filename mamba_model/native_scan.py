"""The selective scan in C++, an optional alternative to scan.py for training on a CPU.

XLA's loops write to memory at every time step. The code in native/ keeps a group of channels in
registers, which makes a whole training step about 1.5 times as fast. It is compiled on first use
with the system's C++ compiler, for this machine and the installed TensorFlow, and kept in the
user's cache folder.

    load()                    # raises NativeScanError if it is not available
    with native_scan():       # XLA functions in float32 that are traced here use it
        ...                   # (their shapes must be static)

It is an XLA custom call, registered only in this process, so a graph with it cannot be saved.
`CompiledTraining` therefore uses it only for the gradients of a training step.
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
    """Makes `selective_scan` use the native scan in functions traced inside. Loads it first.

    Raises:
        NativeScanError: if it cannot be built or loaded.
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
    """Registers the library's calls with XLA, in this process.

    Raises:
        NativeScanError: if it cannot be built or loaded.
    """
    library = build()
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        raise NativeScanError(
            f"the native scan at {library} does not load: {error}; delete it to build it again"
        ) from error


def scan(u, delta, A, B, C, initial_state, *, chunk: int):
    """The recurrence without D, for XLA only: axes as in scan.py, A (n, d), all float32.

    Returns y (b, l, d) and the last state (b, n, d).

    Raises:
        ValueError: if a shape is not static.
    """
    if not u.shape.is_fully_defined():
        raise ValueError(
            f"the native scan needs batches of one known shape, got {tuple(u.shape)}: "
            "batch with drop_remainder=True"
        )
    # An op for XLA graphs only; TensorFlow has no public name for it.
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
    """The command that compiles `source` to a shared library for this machine's instructions.

    Raises:
        NativeScanError: if there is no C++ compiler.
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
    """Compiles the library if it is not in the cache yet; returns its path.

    Raises:
        NativeScanError: if it does not compile.
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
                "the native scan did not compile; train without it, or fix this command: "
                f"{' '.join(command)}\n{done.stderr}"
            )
        built.rename(library)
    return library


def _tensorflow_options() -> list[str]:
    folder = pathlib.Path(tf.__file__).parent
    libraries = [f"-l:{path.name}" for path in sorted(folder.glob("libtensorflow_*.so.*"))]
    return [*tf.sysconfig.get_compile_flags(), f"-L{folder}", *libraries]


def _library() -> pathlib.Path:
    """The path of the library for these sources, this compiler, machine and TensorFlow."""
    # The compiler's predefined macros tell its version and this machine's instructions.
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
