"""A compiled spec run on this machine: each stage's command in a process, as in its container.

Of a cluster there is: the order of the tasks, the ExecutorInput that Kubeflow's driver writes and
puts in for `{{$}}`, and an object store that is a folder. There is no image, no cache, no pod.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class Cluster:
    """Runs the tasks of a spec's file; keeps what it gets back."""

    spec: Path
    store: Path  # stands for `/` in the containers: the object store is a folder in it
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)  # of tasks that ran
    _registered: int = 0  # artifacts

    def run(self, last: str | None = None) -> None:
        """Runs all tasks, or those that `last` needs, and it."""
        spec, *_ = yaml.safe_load_all(self.spec.read_text())
        tasks = spec["root"]["dag"]["tasks"]
        wanted = _needed_for(last, tasks) if last else set(tasks)
        while waiting := sorted(wanted - set(self.outputs)):
            ready = [
                t for t in waiting if set(tasks[t].get("dependentTasks", ())) <= set(self.outputs)
            ]
            self.outputs[ready[0]] = self._run_task(ready[0], spec)

    def path(self, task: str, output: str) -> Path:
        """The folder of an artifact."""
        (artifact,) = self.outputs[task][output]["artifacts"]
        scheme, _, rest = artifact["uri"].partition("://")
        return self.store / scheme / rest

    def _run_task(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        task = spec["root"]["dag"]["tasks"][name]
        component = spec["components"][task["componentRef"]["name"]]
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        told = self.store / "tmp" / name / "output_metadata.json"
        asked = json.dumps(self._executor_input(name, task, component, spec, told))
        python, *rest = container["command"]
        assert python == "python"
        arguments = [asked if a == "{{$}}" else a for a in container["args"]]
        done = subprocess.run(
            [sys.executable, *rest, *arguments],
            cwd=self.store,  # not the project's folder: stages find nothing by where they run
            env=os.environ | {"PYTHONPATH": str(PROJECT), "ARTIFACT_LOCAL_PATH": str(self.store)},
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert done.returncode == 0, f"{name}: exit {done.returncode}\n{done.stderr[-4000:]}"
        artifacts = json.loads(told.read_text())["artifacts"]
        for key in component["outputDefinitions"]["artifacts"]:
            for each in artifacts[key]["artifacts"]:
                # As the driver passes it on: a number as its name, and no schema.
                self._registered += 1
                each |= {"name": str(self._registered), "type": {"instanceSchema": ""}}
        return artifacts

    def _executor_input(self, name, task, component, spec, told: Path) -> dict[str, Any]:
        inputs = task.get("inputs", {})
        produced = {
            key: value["taskOutputArtifact"] for key, value in inputs.get("artifacts", {}).items()
        }
        return {
            "inputs": {
                "parameterValues": {
                    key: value["runtimeValue"]["constant"]
                    for key, value in inputs.get("parameters", {}).items()
                },
                "artifacts": {
                    key: self.outputs[by["producerTask"]][by["outputArtifactKey"]]
                    for key, by in produced.items()
                },
            },
            "outputs": {
                "artifacts": {
                    key: {
                        "artifacts": [
                            {
                                "uri": f"{spec['defaultPipelineRoot']}/{name}/{key}",
                                "type": declared["artifactType"],
                            }
                        ]
                    }
                    for key, declared in component["outputDefinitions"]["artifacts"].items()
                },
                "outputFile": str(told),
            },
        }


def _needed_for(last: str, tasks: dict[str, Any]) -> set[str]:
    needed, waiting = set(), [last]
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting += tasks[name].get("dependentTasks", ())
    return needed
