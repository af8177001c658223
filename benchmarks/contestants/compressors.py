"""Compressed size of texts after the training text: bits(training + text) - bits(training).

xz    the standard library's lzma, preset 9 extreme, whose dictionary of 64 MiB holds all text
ppmd  pyppmd's PPMd variant I of order 16. With 256 MiB it never resets its model (with 1 GiB
      the bits are the same, with 64 MiB a fifth more)
"""

from __future__ import annotations

import lzma
import time

import pyppmd

from benchmarks.measurement import Contest, memory_mib


def xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)


def ppmd(data: bytes) -> bytes:
    return pyppmd.compress(data, max_order=16, mem_size=256 << 20, variant="I")


COMPRESSORS = {"xz": xz, "ppmd": ppmd}


def main() -> None:
    contest = Contest("pyppmd")
    compress = COMPRESSORS[contest.settings["model"]]
    texts = {name: array.tobytes() for name, array in contest.inputs.items()}
    started = time.perf_counter()
    train = texts.pop("train")
    alone = len(compress(train))
    bits = {name: 8 * (len(compress(train + text)) - alone) for name, text in texts.items()}
    seconds = time.perf_counter() - started
    contest.record("scores", bits=bits, seconds=seconds, peak_mib=memory_mib("VmHWM"))


if __name__ == "__main__":
    main()
