"""What texts cost after the training text: bits(training + text) - bits(training), in bits.

xz    the standard library's lzma, preset 9 extreme: a dictionary of 64 MiB holds it all
ppmd  PPMd variant I of order 16, as pyppmd has it. In 256 MiB it never starts its model
      anew (in 1 GiB the bits are the same, in 64 MiB they are a fifth more)
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
