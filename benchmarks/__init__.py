"""Speed and memory, ours beside the peers': scan, training step, generation, growth.

    python -m benchmarks.scan        (training, generation, growth; --help lists the options)
    python -m benchmarks.baselines   quality: simple baselines on the splits that the models get

and the pipeline, beside nobody:

    python -m benchmarks.data_growth   seconds and memory of the data stages, by size of corpus
    python -m benchmarks.overhead      what orchestration costs: one step of training; all cached

Every contestant runs in a process of its own, so that neither's memory nor threads touch the
other's, and gets its inputs from one file. The peers have a Python of their own, .venv-peers.

    contest.py            starts contestants one after another and holds them to their limits
    measurement.py        what runs inside a contestant's process: times and memory of a call
    contestants/          what is measured, a module per benchmark and library
    pipeline_process.py   a `tf-mamba run` in a process of its own, with what it took
    report.py             medians, the fit of an exponent, tables, JSON lines
"""
