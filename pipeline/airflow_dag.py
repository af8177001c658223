"""The DAG of a task, which Airflow reads and this project never imports.

`tf-mamba compile airflow` writes this file with COMPILED filled in. Airflow has an environment
of its own, without TFX: each stage runs in the project's, by `tf-mamba stage`.
"""

from __future__ import annotations

import shlex
from datetime import datetime, timezone
from typing import Any

from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.utils.trigger_rule import TriggerRule

COMPILED: dict[str, Any] = {}

# Airflow renders these when a stage starts. The run's id has to stay the same when a failed
# stage is cleared and runs again, which of all dates only the logical one does.
ENVIRONMENT = {
    "TF_MAMBA_ROOT": "{{ var.value.get('tf_mamba_root', '" + COMPILED["root"] + "') }}",
    "TF_MAMBA_RUN_ID": "{{ logical_date.strftime('%Y%m%d-%H%M%S-%f') }}-airflow",
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
    stage("summary", trigger_rule=TriggerRule.ALL_DONE).set_upstream(list(stages.values()))
