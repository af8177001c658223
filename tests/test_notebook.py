"""The tour in notebooks/: what is committed, and what it does when it is run."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PROJECT = Path(__file__).resolve().parents[1]
TOUR = PROJECT / "notebooks" / "tour.ipynb"


@pytest.fixture
def tour():
    return nbformat.read(TOUR, as_version=4)


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _outputs(cell):
    """What kinds of output a cell has, in their order; a busy machine cuts a stream into pieces."""
    kinds = [
        sorted(output.data) if "data" in output else (output.output_type, output.get("name"))
        for output in cell.outputs
    ]
    return [
        kind
        for i, kind in enumerate(kinds)
        if not (i and isinstance(kind, tuple) and kind == kinds[i - 1])
    ]


def test_committed_outputs_are_of_one_run_without_errors(tour):
    nbformat.validate(tour)
    cells = _code(tour)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds == {"stream", "display_data", "execute_result"}
    streams = {o.name for cell in cells for o in cell.outputs if o.output_type == "stream"}
    assert streams == {"stdout"}  # no warnings


def test_committed_notebook_names_no_machine_loads_nothing_and_is_small(tour):
    text = nbformat.writes(tour)
    assert not re.search(r"/(home|root|work|tmp|usr|var|opt|Users)/", text)
    assert not re.search(r"<script|javascript|src=\\?\"http", text)
    assert len(text) < 300_000


@pytest.mark.slow
def test_notebook_runs_to_its_end_and_shows_what_is_committed(tour, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "TMPDIR"):
        folder = tmp_path / variable
        folder.mkdir()
        monkeypatch.setenv(variable, str(folder))
    committed = [_outputs(cell) for cell in _code(tour)]
    for cell in _code(tour):
        cell.outputs, cell.execution_count = [], None
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(tour, timeout=600, kernel_name="python3", resources=resources).execute()
    assert [_outputs(cell) for cell in _code(tour)] == committed
    assert not list((tmp_path / "TMPDIR").glob("tour-*"))  # it cleans up after itself
