"""The commands of `tf-mamba`, a module each: `add_options(parser)` and `run(options)`."""
