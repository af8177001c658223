"""The measured code. Each module runs as `python -m benchmarks.contestants.NAME FOLDER`.

Modules `*_torch` run in the peers' Python: of this project they import only
`benchmarks.measurement`, and no TensorFlow.
"""
