"""Prints what Airflow makes of a folder of DAGs, as JSON; on Airflow's own Python.

.venv-airflow/bin/python read_dag_bag.py FOLDER
"""

import json
import sys

from airflow.models import DagBag

bag = DagBag(sys.argv[1], include_examples=False)
dags = {
    name: {
        "tasks": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
        "schedule": dag.timetable.summary,
        "max_active_runs": dag.max_active_runs,
        "max_active_tasks": dag.max_active_tasks,
    }
    for name, dag in bag.dags.items()
}
print(json.dumps({"errors": bag.import_errors, "dags": dags}))
