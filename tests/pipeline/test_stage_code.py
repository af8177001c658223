import pytest

from data import task_files
from data.errors import UserError
from pipeline.stage_code import module_hashes, stage_hashes, stage_modules

READERS = ("data.imdb.reader", "data.bible.reader", "data.generic.reader")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["classification", "next-token"])
def test_every_module_of_every_stage_has_a_file(kind, reader):
    assert set(stage_hashes(kind, reader)) == set(stage_modules(kind, reader))


def test_a_reader_that_does_not_exist_is_an_error():
    with pytest.raises(UserError, match=r"data\.gone"):
        stage_hashes("classification", "data.gone")


def test_the_reader_counts_for_the_stages_that_call_it():
    one, other = (stage_hashes("classification", reader) for reader in READERS[::2])
    assert {stage for stage in one if one[stage] != other[stage]} == {"TextExampleGen", "DataGate"}


def test_a_summary_keeps_the_probe_and_the_page():
    file = task_files.find("imdb")
    assert module_hashes(file.task.kind, file.reading.reader).keys() >= {
        "components.infra_check.probe",
        "components.infra_check.graph_rules",
        "components.infra_check.served_requests",
        "pipeline.report.sections.training",
        "report/templates/page.html.j2",
        "data.imdb.formats",
    }
