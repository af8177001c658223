"""ModelCard: describes a model, its quality and its uses, in files beside the pushed model.

It reads only artifacts, so it works under any orchestrator. model_card.json has all figures;
model_card.md is for readers, after Mitchell et al., Model Cards for Model Reporting (2019).

TFX reads the annotations of a component function as objects, so this module cannot use
`from __future__ import annotations`.
"""

# mypy takes TFX's annotations for the types of the arguments.
# mypy: disable-error-code="type-arg, arg-type, assignment, call-overload"

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.artifacts import IngestRecords
from components.artifacts import ModelCard as ModelCardArtifact
from data.files import write_whole

_UNKNOWN = "not written down yet: see [about] in the task's task.toml"


@component
def ModelCard(
    records: InputArtifact[IngestRecords],
    transform_graph: InputArtifact[standard_artifacts.TransformGraph],
    model: InputArtifact[standard_artifacts.Model],
    model_run: InputArtifact[standard_artifacts.ModelRun],
    evaluation: InputArtifact[standard_artifacts.ModelEvaluation],
    infra_blessing: InputArtifact[standard_artifacts.InfraBlessing],
    card: OutputArtifact[ModelCardArtifact],
    config: Parameter[str],
    training_code_sha256: Parameter[str],
    code_sha256: Parameter[str] = "",
) -> None:
    """Writes model_card.json and model_card.md.

    Args:
        records: of TextExampleGen.
        transform_graph: of Transform, with the vocabulary.
        model: of the Trainer.
        model_run: of the Trainer.
        evaluation: of the Evaluator.
        infra_blessing: of InfraCheck, with its report.
        card: gets the two files.
        config: the parts of the RunConfig that the card shows, as JSON.
        training_code_sha256: hash of the Trainer's code, which the card shows.
        code_sha256: hash of the code of this component; a part of the cache key only.
    """
    from pipeline.code_hash import library_versions
    from pipeline.evaluation import summary as evaluation_summary
    from pipeline.export.expected_signatures import SIGNATURES
    from pipeline.places import TRAINING_FILE
    from pipeline.transform.vocabulary import pieces_sha256

    settings = json.loads(config)
    task, about = settings["task"], settings["about"]
    ledger = json.loads(Path(records.uri, "records.json").read_text("utf-8"))
    training = json.loads(Path(model_run.uri, TRAINING_FILE).read_text("utf-8"))
    infra = json.loads(Path(infra_blessing.uri, "report.json").read_text("utf-8"))
    source = ledger["source"]
    content = {
        "task": task["name"],
        "kind": task["kind"],
        "classes": task["classes"],
        **about,
        "title": about["title"] or f"A Mamba model: {task['name']}",
        "example": example_request(task["name"], about["example"]),
        "data": {
            "source": source["kind"],
            "sha256": source["sha256"],
            "examples": ledger["examples"],
            "licence": about["licence"],
        },
        "hashes": {
            "code": training_code_sha256,
            "weights": training["weights_sha256"],
            "vocabulary": pieces_sha256(transform_graph.uri),
        },
        "versions": library_versions(),
        "training": {name: settings[name] for name in ("preset", "seed", "model", "training")},
        "chance": chance(ledger, task["classes"]),
        "metrics": (evaluation_summary.collect(evaluation.uri)["metrics"] or {}).get("eval"),
        "serving": {"signatures": SIGNATURES[task["kind"]], **infra["figures"]},
    }
    write_whole(Path(card.uri, "model_card.json"), json.dumps(content, indent=2) + "\n")
    write_whole(Path(card.uri, "model_card.md"), as_markdown(content))


def example_request(task: str, text: str) -> str:
    """A request to the REST API, as a command."""
    body = json.dumps({"instances": [{"text": text}]}, ensure_ascii=False)
    return f"curl -d {shlex.quote(body)} http://localhost:8501/v1/models/{task}:predict"


def chance(ledger: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any] | None:
    """The class that is most frequent in split train, and what always answering it would reach on
    split eval; None without classes or labels.
    """
    labels = {
        split: facts.get("values", {}).get("label", {}) for split, facts in ledger["facts"].items()
    }
    train, held_out = labels.get("train"), labels.get("eval")
    if not classes or not train or not held_out:
        return None
    most = max(train, key=lambda label: (train[label], label))
    accuracy = held_out.get(most, 0) / sum(held_out.values())
    return {"class": classes[int(most)], "accuracy": accuracy}


def as_markdown(card: Mapping[str, Any]) -> str:
    """The card in Markdown."""
    data, metrics, serving = card["data"], card["metrics"], card["serving"]
    limits = serving.get("limits", {})
    sections = [
        f"# {card['title']}\n\n{card['description']}" + _class_names(card["classes"]),
        "## Use\n\n"
        + _bullets(card["intended_use"])
        + "\n\nNot for:\n\n"
        + _bullets(card["not_intended_use"]),
        "## Known weaknesses\n\n" + _bullets(card["weaknesses"]),
        "## Quality\n\nOn split `eval`, which the model was not trained on. The 95% intervals show"
        " how much a figure varies with the choice of texts, not from one training to another.\n\n"
        + _table(("metric", "value", "interval"), _metric_rows(metrics))
        + _chance(card["chance"]),
        *_classes(metrics),
        *_slices(metrics),
        *_fairness(metrics),
        "## Data\n\n"
        + _table(
            ("", ""),
            [
                ("source", data["source"]),
                ("SHA-256", f"`{data['sha256']}`"),
                *((f"examples, {split}", f"{n:,}") for split, n in data["examples"].items()),
                ("licence", data["licence"]),
            ],
        ),
        "## Limits\n\nA request over a limit is refused with INVALID_ARGUMENT.\n\n"
        + _table(("limit", "value"), [(name, f"{value:,}") for name, value in limits.items()]),
        "## How to call it\n\nSignatures: "
        + "; ".join(f"`{name}` ({', '.join(i)})" for name, i in serving["signatures"].items())
        + f".\n\n```\n{card['example']}\n```",
        "## How it was made\n\n"
        + _table(
            ("", ""),
            [
                ("preset, seed", f"{card['training']['preset']}, {card['training']['seed']}"),
                *((name, f"`{value}`") for name, value in card["hashes"].items()),
                *((name, version) for name, version in card["versions"].items()),
            ],
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _class_names(classes: Iterable[str]) -> str:
    return f"\n\nClasses: {', '.join(classes)}." if classes else ""


def _chance(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    return (
        f"\n\nAlways answering `{found['class']}`, the most frequent class of split `train`, has"
        f" accuracy {found['accuracy']:.4g}."
    )


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or f"- {_UNKNOWN}"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    from tabulate import tabulate

    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def _values(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The model's own values, without slices and differences from the last pushed model."""
    return {
        name: value
        for name, value in metrics.items()
        if isinstance(value, float) and not name.endswith("_diff")
    }


def _metric_rows(metrics: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    for name, value in _values(metrics).items():
        bounds = metrics["intervals"].get(name)
        between = f"{bounds[0]:.4g} to {bounds[1]:.4g}" if bounds else ""
        yield name.replace("_", " "), f"{value:.4g}", between


def _classes(metrics: Mapping[str, Any]) -> Iterable[str]:
    if "classes" not in metrics:
        return
    names = ("precision", "recall", "f1", "auc")
    rows = [
        (of_class, *(f"{of.get(name, float('nan')):.4g}" for name in names))
        for of_class, of in metrics["classes"].items()
    ]
    yield "## Classes\n\n" + _table(("", *names), rows)


def _slices(metrics: Mapping[str, Any]) -> Iterable[str]:
    if not metrics["slices"]:
        return
    names = list(_values(metrics))
    rows = [
        (where.replace("_", " "), *(f"{of.get(name, float('nan')):.4g}" for name in names))
        for where, of in metrics["slices"].items()
    ]
    yield "## Slices\n\n" + _table(("", *(name.replace("_", " ") for name in names)), rows)


def _fairness(metrics: Mapping[str, Any]) -> Iterable[str]:
    for feature, gap in metrics.get("fairness", {}).items():
        yield (
            f"Between slices of {feature.replace('_', ' ')}, accuracy differs by at most"
            f" {gap['accuracy_gap']:.3f}: it is lowest in {gap['lowest']} and highest in"
            f" {gap['highest']}."
        )
