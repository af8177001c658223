"""Benchmarks. Comparisons with other libraries ("peers") in speed, memory and quality:

    python -m benchmarks.scan        (training, generation, growth; --help lists the options)
    python -m benchmarks.baselines   quality of simple baselines on the models' splits, of any task

Measurements of the pipeline alone:

    python -m benchmarks.data_growth   seconds and memory of the data stages, by size of corpus
    python -m benchmarks.final_score   the pushed Bible model on split test
    python -m benchmarks.interrupts    runs that are interrupted at random moments
    python -m benchmarks.kills         weights of a training that is killed again and again
    python -m benchmarks.overhead      cost of orchestration: one step of training; all cached
    python -m benchmarks.serving       the built-in server under load

Each contestant runs in a separate process, so they share neither memory nor threads, and reads
its inputs from a file. The peers have their own Python, .venv-peers.

    corpora.py            records of a task, as the pipeline's ingest keeps them
    contest.py            runs contestants one after another and enforces their limits
    measurement.py        runs inside a contestant's process: times and memory of a call
    contestants/          the measured code, a module per benchmark and library
    pipeline_process.py   runs `tf-mamba run` in a process and measures it
    report.py             medians, fitted exponents, tables, JSON lines
"""
