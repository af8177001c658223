"""The DAG of a task, which Airflow reads and this project never imports.

`tf-mamba airflow` writes this file with COMPILED filled in. Airflow has an environment
of its own, without TFX: each stage runs in the project's, by `tf-mamba stage`.
"""

from __future__ import annotations

import shlex
from datetime import datetime, timezone
from typing import Any

from airflow import DAG

try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:  # Airflow 2
    from airflow.operators.bash import BashOperator

COMPILED: dict[str, Any] = {}

# Airflow renders these when a stage starts. Its own id of the run stays the same when a failed
# stage is cleared and runs again; DAGs that start at one time have the same, but for the task.
ENVIRONMENT = {
    "TF_MAMBA_ROOT": "{{ var.value.get('tf_mamba_root', '" + COMPILED["root"] + "') }}",
    "TF_MAMBA_RUN_ID": "{{ run_id | replace(':', '') }}-" + COMPILED["arguments"][0],
}


def stage(name: str, **options: Any) -> BashOperator:
    task, *arguments = COMPILED["arguments"]
    command = [*COMPILED["command"], "stage", task, name, *arguments]
    return BashOperator(
        task_id=name,
        bash_command=f'exec {shlex.join(command)} --root "$TF_MAMBA_ROOT"'
        ' --run-id "$TF_MAMBA_RUN_ID"',
        env=ENVIRONMENT,
        append_env=True,
        **options,
    )


with DAG(
    dag_id=COMPILED["dag_id"],
    description="From raw text to a pushed Mamba model",
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    schedule=None,
    catchup=False,
    # One run of a task at a time in a root folder, and in it one stage: they share a lock.
    max_active_runs=1,
    max_active_tasks=1,
    tags=["tf-mamba"],
) as dag:
    stages = {name: stage(name) for name in COMPILED["stages"]}
    for name, upstream in COMPILED["stages"].items():
        stages[name].set_upstream([stages[other] for other in upstream])
    # Also of a run that failed, and then fails itself: by its last task Airflow judges a run.
    stage("summary", trigger_rule="all_done").set_upstream(list(stages.values()))
