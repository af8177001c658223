"""What is measured. Each module runs as `python -m benchmarks.contestants.NAME FOLDER`.

Those named `*_torch` run in the peers' Python: they import nothing of this project but
`benchmarks.measurement`, and no TensorFlow.
"""
