"""Tuner: many short trainings with different settings, to find the lowest loss on split eval.

KerasTuner chooses the settings; a trial trains by the same loop as the Trainer. A killed
search resumes without KerasTuner's own files: a kill can leave them truncated or
inconsistent, and they lack the random state of its Bayesian oracle. Instead, each search
starts again with the first trial. Given the same results, the oracle asks for the same trials
as before, and the result of an ended trial comes from the search's records (trials.py). So a
killed search ends with the same trials as one that was not killed, and a search that is run
again with more trials adds the new ones after the old ones.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import operator
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine import base_tuner
from keras_tuner.engine.hyperparameters import Float
from keras_tuner.engine.trial import TrialStatus
from keras_tuner.errors import FailedTrialError, FatalError
from keras_tuner.oracles import BayesianOptimizationOracle
from tfx.components.tuner.component import TunerFnResult

from data.errors import UserError
from pipeline import interrupts
from pipeline.training import inputs as training_inputs
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.child_process import die_with_parent
from pipeline.training.loop import fit
from pipeline.tuning.trials import Search, Trial

# Random trials before the oracle fits a model to the results. On noisy bowls of 6 dimensions,
# mean of 8, the best of 12, 16 and 24 trials was above the minimum by 0.047, 0.036 and 0.033;
# with 18 (KerasTuner's default) by 0.092, 0.063 and 0.040; in random search by 0.092, 0.063 and
# 0.057.
_RANDOM_TRIALS = 8


class TrialEnded(UserError, FatalError):
    """Stops the search, where KerasTuner would continue with the next trial."""


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """TFX's hook of the Tuner.

    Reads of fn_args.custom_config `config` (see Inputs.read), `ranges` (JSON, see
    search_space.py), `trials` (how many) and `search` (folder of the search's records). Each
    trial starts from the model in fn_args.base_model, if there is one.
    """
    custom = fn_args.custom_config
    inputs = dataclasses.replace(training_inputs.Inputs.read(fn_args), transform=None)
    tuner = Tuner(
        inputs,
        json.loads(custom["ranges"]),
        trials=custom["trials"],
        search=Search(Path(custom["search"])),
        base_model=fn_args.base_model,
    )
    return TunerFnResult(tuner=tuner, fit_kwargs={})


def train(
    inputs: training_inputs.Inputs,
    settings: Mapping[str, float],
    folder: Path,
    base_model: str | None,
) -> dict[str, Any]:
    """Trains with `settings` in place of the configuration's values; returns `fit`'s summary.

    Writes checkpoints and logs to `folder`.

    Raises:
        UserError: if training fails.
    """
    for name, value in settings.items():
        section, field = name.split(".")
        changed = dataclasses.replace(getattr(inputs, section), **{field: value})
        inputs = dataclasses.replace(inputs, **{section: changed})
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)  # of a trial that was killed
    training_inputs.depend_on_seed(inputs.seed)
    model, batches, held_out = training_inputs.prepare(inputs, base_model)
    return fit(
        model,
        batches,
        inputs.training,
        checkpoints=Checkpoints(folder / "checkpoints"),
        log_folder=str(folder),
        held_out=held_out,
        to_texts=inputs.to_texts,
    )


def train_in_a_process(*arguments: Any) -> dict[str, Any]:
    """`train` in a new process.

    XLA's compiled code stays in memory until the process ends: 150 MB and more per trial.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork of TensorFlow's threads would hang
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=die_with_parent) as process:
        with interrupts.kept_from_children():
            trained = process.submit(train, *arguments)
        return trained.result()


class Tuner(base_tuner.BaseTuner):
    """Runs the trials that the oracle asks for, and records their results.

    The first trial is the unchanged configuration, whose values must lie in the ranges.
    """

    def __init__(
        self,
        inputs: training_inputs.Inputs,
        ranges: Sequence[Mapping[str, Any]],
        *,
        trials: int,
        search: Search,
        base_model: str | None = None,
        train: Callable[..., dict[str, Any]] = train_in_a_process,
    ):
        self._inputs, self._search, self._base_model = inputs, search, base_model
        self._train = train
        oracle = _Oracle(
            first={each["name"]: operator.attrgetter(each["name"])(inputs) for each in ranges},
            objective=keras_tuner.Objective("loss", "min"),
            max_trials=trials,
            num_initial_points=_RANDOM_TRIALS,
            hyperparameters=_hyperparameters(ranges),
            # Trial t draws with seed + t * dimensions, so seeds far apart share no draws.
            # KerasTuner takes seed 0 for none.
            seed=1 + 100_000 * inputs.seed % 2**31,
            max_consecutive_failed_trials=trials
            + 1,  # never reached: a failed trial is a result too
        )
        oracle.verbose = 0
        super().__init__(
            oracle, directory=str(search.folder), project_name="keras_tuner", overwrite=True
        )

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Trains with the trial's settings, unless the search has their result."""
        settings = dict(trial.hyperparameters.values)
        result = self._search.result(settings)
        if result is None:
            result = self._trained(int(trial.trial_id), settings)
            self._search.keep(result)
            print(f"  {_line(result)}", file=sys.stderr, flush=True)
        if result.error is not None:
            raise FailedTrialError(result.error)
        shutil.rmtree(self._search.trial_folder(settings) / "checkpoints", ignore_errors=True)
        return {"loss": result.loss, "accuracy": result.accuracy}  # type: ignore[dict-item]

    def on_search_end(self) -> None:
        trials = self.oracle.trials.values()
        if all(trial.status == TrialStatus.FAILED for trial in trials):
            raise UserError(
                f"{self._search.table}: all {len(trials)} trials failed; see its column `error`."
                " More --trials, or narrower ranges in search_space.py, may help"
            )

    def search_space_summary(self, extended: bool = False) -> None:
        """Prints nothing, as standard output is for the table."""

    def results_summary(self, num_trials: int = 10) -> None:
        """Prints nothing, as standard output is for the table."""

    def _trained(self, number: int, settings: dict[str, float]) -> Trial:
        folder = self._search.trial_folder(settings)
        try:
            summary = self._train(self._inputs, settings, folder, self._base_model)
        except UserError as error:  # a failure due to these settings
            return Trial(number, settings, error=str(error))
        except BrokenProcessPool as error:
            raise TrialEnded(
                f"trial {number}: its process was killed, perhaps for lack of memory; its"
                f" checkpoints are in {folder}, and the same command resumes from them"
            ) from error
        except Exception as error:  # KerasTuner would continue with the next trial
            raise FatalError(f"{type(error).__name__}: {error}") from error
        return Trial(
            number,
            settings,
            loss=summary["eval"]["loss"],
            accuracy=summary["eval"]["accuracy"],
            steps=summary["steps"],
            seconds=summary["seconds"],
        )


class _Oracle(BayesianOptimizationOracle):
    """Starts with the unchanged configuration; rounds numbers to three digits, easy to type."""

    def __init__(self, first: Mapping[str, float], **options: Any):
        super().__init__(**options)
        self._first = first

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if not self.trials:
            return {"status": TrialStatus.RUNNING, "values": dict(self._first)}
        response = self._rounded(super().populate_space(trial_id))
        if response["values"] in [trial.hyperparameters.values for trial in self.trials.values()]:
            response = self._rounded(self._random_populate_space())  # to ask for no trial twice
        return response

    def _rounded(self, response: dict[str, Any]) -> dict[str, Any]:
        values = response["values"]
        if values is None:  # all combinations are tried
            return response
        for each in self.hyperparameters.space:
            if isinstance(each, Float):
                values[each.name] = float(f"{values[each.name]:.3g}")
        return response


def _hyperparameters(ranges: Sequence[Mapping[str, Any]]) -> keras_tuner.HyperParameters:
    space = keras_tuner.HyperParameters()
    for each in ranges:
        if "values" in each:
            space.Choice(each["name"], list(each["values"]))
        else:
            sampling = "log" if each["log"] else "linear"
            space.Float(each["name"], each["low"], each["high"], sampling=sampling)
    return space


def _line(trial: Trial) -> str:
    if trial.error is not None:
        return f"trial {trial.number}: {trial.error}"
    figures = f"loss {trial.loss:.4f}, accuracy {trial.accuracy:.4f}, {trial.seconds:.0f} s"
    return f"trial {trial.number}: {figures}"
