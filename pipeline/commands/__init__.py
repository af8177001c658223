"""The commands of `tf-mamba`: each module has `add_options(parser)` and `run(options)`."""
