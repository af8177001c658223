"""The DAG of a task, read by Airflow and never imported by this project.

`tf-mamba airflow` writes this file with COMPILED filled in. Airflow has its own environment
without TFX; each stage runs in the project's environment, by `tf-mamba stage`.
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

# Airflow renders these when a stage starts. Its run id stays the same when a failed stage is
# cleared and runs again. DAGs that start at the same time share it, so the task is added.
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
    # One run of a task at a time in a root folder, and one stage of it: they share a lock.
    max_active_runs=1,
    max_active_tasks=1,
    tags=["tf-mamba"],
) as dag:
    stages = {name: stage(name) for name in COMPILED["stages"]}
    for name, upstream in COMPILED["stages"].items():
        stages[name].set_upstream([stages[other] for other in upstream])
    # Runs after a failure too, and then fails itself: Airflow judges a run by its last task.
    stage("summary", trigger_rule="all_done").set_upstream(list(stages.values()))
