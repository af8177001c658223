"""The command line: `tf-mamba COMMAND`, also `python -m pipeline.cli`.

Exit codes: 0 success, 1 an error (one line on stderr) or a run that was not reproduced, 2
wrong usage, 3 the run went to its end but its model was not blessed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.records import DataError
from pipeline.errors import UserError

NOT_BLESSED = 3
_TASK_NAMES = ("bible", "imdb")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    if not options.debug:
        # Before TensorFlow is imported: it reads this once.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("GLOG_minloglevel", "3")  # of ML Metadata, which logs each connection
        _silence_libraries()
    try:
        if options.uses_tensorflow and not options.debug:
            _import_tensorflow_silently()
        return options.command(options)
    except KeyboardInterrupt:
        print("tf-mamba: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if options.debug:
            raise
        print(f"tf-mamba: {_one_line(error)}", file=sys.stderr)
        return 1


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, UserError | DataError):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def _silence_libraries() -> None:
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # of processes that this one starts
    logging.getLogger().setLevel(logging.CRITICAL)  # what they log as errors, they raise too
    # TFX tells of its stages here; local_runner listens, the terminal does not.
    logging.getLogger("absl").propagate = False


def _import_tensorflow_silently() -> None:
    """Imports TensorFlow with standard error closed: its C++ code greets there, unasked."""
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow  # noqa: F401
        import tensorflow_text  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tf-mamba", description="Trains, evaluates and uses Mamba models on text."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, command: Any, text: str, uses_tensorflow: bool = True
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command, uses_tensorflow=uses_tensorflow)
        sub.add_argument("--debug", action="store_true", help="show tracebacks and all logs")
        sub.add_argument(
            "--root",
            type=Path,
            default=Path.cwd(),
            help="folder of runs/ and serving_models/ (default: this one)",
        )
        sub.add_argument(
            "--metadata",
            metavar="ADDRESS",
            default=os.environ.get("TF_MAMBA_METADATA", ""),
            help="of ML Metadata's database server, as in mysql://USER@HOST/DATABASE (default:"
            " $TF_MAMBA_METADATA, else runs/metadata.sqlite)",
        )
        return sub

    run = add("run", _run, "Run the pipeline from the text to a pushed model.")
    tune = add("tune", _tune, "Search for better settings of a preset's training.")
    for command in (run, tune):
        command.add_argument("task", choices=_TASK_NAMES)
        command.add_argument(
            "--preset", default="quick", help="quick (default), full, best or smoke"
        )
        command.add_argument(
            "--source", help="a local file or folder instead of the packaged corpus"
        )
        command.add_argument("--seed", type=int, help="of weights, order and dropout (default: 1)")
        command.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="SECTION.FIELD=VALUE",
            help="overrides the preset, as in model.d_model=256 or data.gate=report; may be"
            " repeated; `tune` does not vary what is set",
        )
    tune.add_argument("--trials", type=int, default=12, help="in all, past ones too (default: 12)")
    tune.add_argument("--steps", type=int, help="of each trial (default: training.steps)")

    reproduce = add(
        "reproduce", _reproduce, "Run a past run again, from nothing, and compare what it makes."
    )
    reproduce.add_argument("run", help="a run's id, or `latest`")
    reproduce.add_argument("--task", choices=_TASK_NAMES, help="of which `latest` is meant")
    reproduce.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="run there and keep it (default: a temporary one)",
    )
    for command in (run, reproduce):
        command.add_argument(
            "--beam-workers",
            type=_positive,
            default=1,
            metavar="N",
            help="of Beam's runners on this machine (default: 1)",
        )
        command.add_argument("--beam-runner", metavar="NAME", help="default: in memory")
        command.add_argument(
            "--beam-arg",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="an option of Beam, for every stage that runs on it; may be repeated",
        )
    run.add_argument("--from", dest="first", metavar="STAGE", help="run from this stage on")
    run.add_argument("--to", dest="last", metavar="STAGE", help="run to this stage only")
    run.add_argument("--no-cache", action="store_true", help="run every stage anew")

    score = add("score", _score, "Score the pushed model on a file; prints JSON.")
    score.add_argument("task", choices=_TASK_NAMES)
    score.add_argument(
        "file",
        type=Path,
        help="imdb: CSV text,label; bible: text, one verse a line, a blank line between documents",
    )

    predict = add("predict", _predict, "Label texts by the pushed model.")
    predict.add_argument("task", choices=("imdb",))
    predict.add_argument("text", nargs="+")

    generate = add("generate", _generate, "Continue a prompt by the pushed model.")
    generate.add_argument("task", choices=("bible",))
    generate.add_argument("prompt")
    generate.add_argument("--max-new-tokens", type=int, default=100)
    generate.add_argument("--temperature", type=float, default=0.8, help="0: always the likeliest")
    generate.add_argument("--top-k", type=int, default=50, help="0: among all tokens")
    generate.add_argument("--top-p", type=float, default=1.0, help="1: among all tokens")
    generate.add_argument(
        "--repetition-penalty", type=float, default=1.0, help="above 1: fewer repeats"
    )
    generate.add_argument("--seed", type=int, default=0)

    from pipeline.commands import infer as infer_command
    from pipeline.commands import serve as serve_command

    serve = add("serve", _serve, "Serve the newest pushed model.", uses_tensorflow=False)
    serve.add_argument("task", choices=_TASK_NAMES)
    serve_command.add_options(serve)

    infer = add("infer", infer_command.run, "Run the newest pushed model over a file of texts.")
    infer.add_argument("task", choices=_TASK_NAMES)
    infer_command.add_options(infer)

    runs = add("runs", _runs, "List past runs, show one, or compare two.", uses_tensorflow=False)
    actions = runs.add_subparsers(metavar="show RUN | diff A B", dest="action")
    show = actions.add_parser("show", help="one run's summary as JSON")
    show.add_argument("run", help="a run's id, or `latest`")
    diff = actions.add_parser("diff", help="in what two runs differ")
    diff.add_argument("runs", nargs=2, metavar="RUN", help="a run's id, or `latest`")
    diff.add_argument("--json", action="store_true")

    lineage = add(
        "lineage", _lineage, "Trace a pushed model back to its text.", uses_tensorflow=False
    )
    lineage.add_argument(
        "model", help="TASK, TASK/VERSION or the folder of a pushed version (TASK: the newest)"
    )
    lineage.add_argument("--format", choices=("text", "json", "svg", "dot"), default="text")

    clean = add(
        "clean",
        _clean,
        "Remove what neither a recent run nor a pushed or blessed model came from.",
        uses_tensorflow=False,
    )
    clean.add_argument(
        "--keep",
        type=_positive,
        default=5,
        metavar="N",
        help="the newest N runs of each task stay (default: 5)",
    )
    clean.add_argument("--dry-run", action="store_true", help="only say what and how much")
    clean.add_argument("--yes", action="store_true", help="do not ask")

    rollback = add(
        "rollback", _rollback, "Let a former version serve again.", uses_tensorflow=False
    )
    rollback.add_argument("task", choices=_TASK_NAMES)
    rollback.add_argument("--to", type=int, metavar="VERSION", help="(default: the one before)")

    report = add(
        "report", _report_page, "Name the page of a run, or open it.", uses_tensorflow=False
    )
    report.add_argument("run", nargs="?", default="latest", help="a run's id (default: latest)")
    report.add_argument("--task", choices=_TASK_NAMES, help="of which `latest` is meant")
    report.add_argument("--open", action="store_true", help="in the browser")

    download = add(
        "download", _download, "Fetch a corpus from its official address.", uses_tensorflow=False
    )
    download.add_argument("task", choices=_TASK_NAMES)
    download.add_argument("--to", type=Path, default=Path("downloads"), help="folder")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number


def _run(options: argparse.Namespace) -> int:
    config, source = _config_and_source(options, options.set)

    beam = _beam(options)  # its mistakes are told before the slow imports

    from pipeline import local_runner

    summary = local_runner.run(
        config,
        source,
        _places(options),
        beam,
        first=options.first,
        last=options.last,
        cached=not options.no_cache,
    )
    print(_report(summary, options.root.resolve()))
    return NOT_BLESSED if summary["blessed"] is False else 0


def _places(options: argparse.Namespace) -> Any:
    from pipeline.runs import Places

    return Places.below(options.root, options.metadata)


def _beam(options: argparse.Namespace) -> Any:
    from pipeline.beam import IN_MEMORY, Beam

    beam = Beam(options.beam_workers, options.beam_runner or IN_MEMORY, tuple(options.beam_arg))
    beam.check()
    return beam


def _tune(options: argparse.Namespace) -> int:
    from pipeline import search_space, trials

    if options.trials < 1:
        raise UserError(f"--trials: expected 1 or more, got {options.trials}")
    settings = list(options.set)
    if options.steps is not None:
        settings.append(f"training.steps={options.steps}")
    config, source = _config_and_source(options, settings)
    fixed = [setting.partition("=")[0] for setting in settings]
    ranges = search_space.ranges(config, fixed)

    from pipeline import local_runner

    search = local_runner.tune(config, source, _places(options), ranges, options.trials)
    found = search.trials()
    best = trials.best_first(found)[0]
    arguments = [*(f"--set {setting}" for setting in options.set), best.arguments]
    print(f"{trials.as_table(found)}\ntrial 0 is the preset; trial {best.number} is the best:")
    print(f"{' '.join(arguments)}\ntable: {search.table}")
    return 0


def _config_and_source(options: argparse.Namespace, settings: Sequence[str]) -> tuple[Any, Any]:
    """What `run` and `tune` start from, told on standard error."""
    import importlib

    from pipeline.config import preset
    from pipeline.settings import with_settings
    from pipeline.tasks import TASKS

    config = preset(options.task, options.preset)
    if options.seed is not None:
        settings = [*settings, f"seed={options.seed}"]
    config = with_settings(config, settings)
    source = importlib.import_module(TASKS[config.task].reader).open_source(options.source)
    print(
        f"{config.task} at preset {config.preset}, seed {config.seed},"
        f" {source.kind} source {source.sha256[:12]}",
        file=sys.stderr,
    )
    return config, source


def _report(summary: dict[str, Any], root: Path) -> str:
    lines = []
    if summary["metrics"]:
        metrics = summary["metrics"]["eval"]
        figures = ", ".join(
            f"{name} {value:.4g}{_interval(metrics, name)}"
            for name, value in metrics.items()
            if isinstance(value, float)
        )
        lines.append(f"eval: {figures}")
    if summary["blessed"] is None:
        lines.append(f"partial run of {', '.join(summary['partial']['stages'])}: not evaluated")
    elif summary["blessed"]:
        pushed = summary["pushed_path"]
        lines.append(f"blessed, pushed to {pushed}" if pushed else "blessed, not pushed: partial")
    else:
        text = f"NOT BLESSED, not pushed: {'; '.join(summary['failed_thresholds'])}"
        lines.append(f"\033[31m{text}\033[0m" if sys.stdout.isatty() else text)
    folder = root / "runs" / summary["task"] / summary["run_id"]
    lines += [f"summary: {folder}/summary.json", f"page: {folder}/report.html"]
    return "\n".join(lines)


def _interval(metrics: dict[str, Any], name: str) -> str:
    bounds = metrics["intervals"].get(name)
    return f" ({bounds[0]:.4g} to {bounds[1]:.4g})" if bounds else ""


def _reproduce(options: argparse.Namespace) -> int:
    from pipeline import runs

    summary = runs.find(_places(options), options.run, options.task)
    from pipeline import reproduction  # imports TFX: not before the run is known

    reproduction.check(summary)
    source = reproduction.open_source_of(summary)
    for change in reproduction.changes_since(summary):
        print(f"warning: since that run, {change}; results may differ", file=sys.stderr)
    print(f"{summary['task']} run {summary['run_id']} again, from nothing", file=sys.stderr)
    again = reproduction.reproduce(summary, source, options.keep, _beam(options))
    rows = reproduction.compare(summary, again)
    print(f"{reproduction.table(rows)}\n{reproduction.verdict(rows)}")
    return 0 if all(row.equal for row in rows) else 1


def _score(options: argparse.Namespace) -> int:
    from pipeline import pushed_model, scoring

    if not options.file.is_file():
        raise UserError(f"{options.file}: no such file")
    model = pushed_model.latest_version(options.root / "serving_models", options.task)
    score = scoring.score_reviews if options.task == "imdb" else scoring.score_text
    print(json.dumps(score(model, options.file)))
    return 0


def _predict(options: argparse.Namespace) -> int:
    import tensorflow as tf

    from pipeline import pushed_model

    model = pushed_model.latest_version(options.root / "serving_models", options.task)
    outputs = pushed_model.signature(model, "serving_default")(text=tf.constant(options.text))
    labels, probabilities = outputs["label"].numpy(), outputs["probability"].numpy()
    for text, label, probability in zip(options.text, labels, probabilities, strict=True):
        excerpt = " ".join(text.split())[:60]
        print(f"{label.decode()}  (positive: {probability:.3f})  {excerpt}")
    return 0


def _generate(options: argparse.Namespace) -> int:
    import tensorflow as tf

    from pipeline import pushed_model

    model = pushed_model.latest_version(options.root / "serving_models", options.task)
    settings = ("max_new_tokens", "temperature", "top_k", "top_p", "repetition_penalty", "seed")
    outputs = pushed_model.signature(model, "serving_default")(
        text=tf.constant([options.prompt]),
        **{name: tf.constant([getattr(options, name)]) for name in settings},
    )
    print(options.prompt + outputs["text"].numpy()[0].decode())
    return 0


def _serve(options: argparse.Namespace) -> int:
    from pipeline.commands import serve

    serve.check(options)
    if command := serve.model_server_command(options):
        serve.run_model_server(command, options)
    if not options.debug:
        _import_tensorflow_silently()
    return serve.run_built_in(options)


def _runs(options: argparse.Namespace) -> int:
    from pipeline.commands import runs

    return runs.run(options, _places(options))


def _lineage(options: argparse.Namespace) -> int:
    from pipeline.commands import lineage

    return lineage.run(options, _places(options))


def _clean(options: argparse.Namespace) -> int:
    from pipeline.commands import clean

    return clean.run(options, _places(options))


def _rollback(options: argparse.Namespace) -> int:
    from pipeline.rollback import rollback

    models = options.root / "serving_models"
    version, content, served = rollback(models, options.task, options.to)
    print(f"{models / options.task / str(version)}: content of {content}, instead of {served}")
    return 0


def _report_page(options: argparse.Namespace) -> int:
    from pipeline.commands.report import report

    def before_making() -> None:
        if not options.debug:
            _import_tensorflow_silently()

    return report(options, before_making)


def _download(options: argparse.Namespace) -> int:
    from data.download import download

    path = download(options.task, options.to)
    print(f"{path}\nuse it with: tf-mamba run {options.task} --source {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
