"""A contestant for tests: records the parts in setting `well`, then does what `then` says."""

import time

import numpy as np

from benchmarks.measurement import Contest


def main():
    contest = Contest("numpy")
    for part in contest.settings["well"]:
        contest.measure(part, lambda: contest.inputs["x"] * 2.0, arrays=lambda y: {"y": y})
    then = contest.settings["then"] if contest.settings["measure"] == "times" else None
    if then == "sleep":
        time.sleep(60)
    if then == "grow":
        kept = []
        while True:
            kept.append(np.ones(10 * 2**20 // 8))
            time.sleep(0.005)
    if then == "fail":
        raise RuntimeError("out of order")


if __name__ == "__main__":
    main()
