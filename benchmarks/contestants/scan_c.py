"""The scan as a plain C++ program: benchmarks/c_loop.cc, built at the start, called by ctypes.

Its loops omit D, a hundredth of the work: D is added for the comparison of results, and not
timed. Results go to preallocated arrays. TensorFlow is not loaded, so memory is the program's own.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.measurement import Contest

SOURCE = Path(__file__).resolve().parent.parent / "c_loop.cc"
CHUNK = 32  # steps between stored states, as in mamba_model/scan.py


def build(folder: Path) -> ctypes.CDLL | None:
    """Builds and loads the library; returns None without a compiler."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if not compiler:
        return None
    library = folder / "c_loop.so"
    options = ["-O3", "-march=native", "-std=c++17", "-fopenmp", "-Wno-psabi"]
    subprocess.run([compiler, *options, "-shared", "-fPIC", SOURCE, "-o", library], check=True)
    return ctypes.CDLL(str(library))


def main() -> None:
    contest = Contest("numpy")
    given = contest.inputs
    b, l, d = given["u"].shape  # noqa: E741
    n = given["B"].shape[2]
    library = build(contest.folder)
    if library is None:
        contest.give_up("no C++ compiler: install g++ or clang++")
        return

    def call(name: str, *arrays: np.ndarray) -> None:
        sizes = map(ctypes.c_int64, (b, l, d, n, CHUNK))
        pointers = (array.ctypes.data_as(ctypes.c_void_p) for array in arrays)
        getattr(library, name)(*sizes, *pointers)

    A = np.ascontiguousarray(given["A"].T)  # (n, d)
    inputs = [given["u"], given["delta"], A, given["B"], given["C"]]
    state = np.zeros((b, n, d), np.float32)
    last, dstate = np.empty_like(state), np.empty_like(state)
    borders = np.empty((b, -(-l // CHUNK), n, d), np.float32)
    y = np.empty_like(given["u"])
    gradients = [np.empty_like(array) for array in inputs]

    def forward():
        call("scan_forward", *inputs, state, y, last, borders)

    def forward_and_backward():
        call("scan_forward", *inputs, state, y, last, borders)
        call("scan_backward", *inputs, borders, given["dy"], state, *gradients, dstate)

    def with_D(_) -> dict[str, np.ndarray]:
        return {"y": y + given["D"] * given["u"]}

    def with_D_and_gradients(_) -> dict[str, np.ndarray]:
        du, ddelta, dA, dB, dC = gradients
        du = du + given["D"] * given["dy"]
        dD = np.einsum("bld,bld->d", given["dy"], given["u"])
        return with_D(_) | {"du": du, "ddelta": ddelta, "dA": dA.T, "dB": dB, "dC": dC, "dD": dD}

    passes = {"fwd": (forward, with_D), "fwd_bwd": (forward_and_backward, with_D_and_gradients)}
    for part in contest.settings["parts"]:
        contest.measure(part, *passes[part])


if __name__ == "__main__":
    main()
