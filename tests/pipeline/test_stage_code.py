import dataclasses

import pytest

from data.errors import UserError
from data.normal_form import NormalForm
from data.tasks import TASKS
from pipeline.stage_code import module_hashes, schema_file, stage_hashes, stage_modules

TASK = TASKS["imdb"]
READ_THE_TASK = {"Transform", "Pretrainer", "Trainer", "Tuner", "ModelCard", "RunReport"}


def changed(task) -> set[str]:
    before, after = stage_hashes(TASK), stage_hashes(task)
    return {stage for stage in before if before[stage] != after[stage]}


def test_every_module_of_every_task_has_a_file():
    for task in TASKS.values():
        assert set(stage_hashes(task)) == set(stage_modules(task))


def test_a_reader_that_does_not_exist_is_an_error():
    with pytest.raises(UserError, match=r"^data\.gone: expected a Python module.*`reader`"):
        stage_hashes(dataclasses.replace(TASK, reader="data.gone"))


def test_the_tasks_own_entry_counts_for_the_stages_that_read_it():
    form = NormalForm(rules=(), lower=True)
    assert changed(dataclasses.replace(TASK, normal_form=form)) == READ_THE_TASK


@pytest.mark.parametrize(
    "edit", [{"slices": ()}, {"schema": "other.pbtxt"}], ids=lambda edit: next(iter(edit))
)
def test_what_reaches_stages_as_parameters_counts_for_none(edit):
    assert changed(dataclasses.replace(TASK, **edit)) == set()


def test_a_summary_keeps_the_probe_the_page_and_the_schema(monkeypatch):
    hashes = module_hashes(TASK)
    assert hashes.keys() >= {
        "components.infra_check.probe",
        "components.infra_check.graph_rules",
        "components.infra_check.served_requests",
        "pipeline.report.sections.training",
        "report/templates/page.html.j2",
        f"data/schema/{schema_file(TASK).name}",
    }
