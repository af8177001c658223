"""`tf-mamba tune`: searches for better settings of a preset's training."""

from __future__ import annotations

import argparse

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_configuration(parser)
    parser.add_argument(
        "--trials",
        type=int,
        default=12,
        help="number of trials, including earlier ones (default: 12)",
    )
    parser.add_argument("--steps", type=int, help="steps of each trial (default: training.steps)")


def run(options: argparse.Namespace) -> int:
    """Searches; prints the table of trials and the best settings."""
    import_tensorflow(options.debug)
    from pipeline.tuning import search_space, trials

    if options.trials < 1:
        raise UserError(f"--trials: expected 1 or more, got {options.trials}")
    settings = list(options.set)
    if options.steps is not None:
        settings.append(f"training.steps={options.steps}")
    config, source = shared.configuration(options, settings)
    fixed = [setting.partition("=")[0] for setting in settings]
    ranges = search_space.ranges(config, fixed)

    from pipeline.orchestrators import local_runner

    search = local_runner.tune(config, source, shared.places(options), ranges, options.trials)
    found = search.trials()
    best = trials.best_first(found)[0]
    arguments = [*(f"--set {setting}" for setting in options.set), best.arguments]
    print(f"{trials.as_table(found)}\ntrial 0 is the preset; trial {best.number} is the best:")
    print(f"{' '.join(arguments)}\ntable: {search.table}")
    return 0
