import ast
import importlib.util
import shutil
from pathlib import Path

import pytest

from data.errors import UserError
from pipeline import code_hash
from pipeline.code_hash import DECLARATIONS, Code

PROJECT = Path(__file__).resolve().parents[2]
TRANSFORM = ("pipeline.transform.preprocessing",)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the project's packages, whose code is hashed in place of the real one."""
    for package in ("components", "data", "mamba_model", "pipeline", "serving"):
        shutil.copytree(
            PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    monkeypatch.setattr(code_hash, "__file__", str(tmp_path / "pipeline" / "code_hash.py"))
    return tmp_path


def test_comments_layout_and_docstrings_do_not_count(copy):
    before = Code().sha256(TRANSFORM)
    file = copy / "data" / "normal_form.py"
    text = file.read_text("utf-8")
    documented = '        """Returns `text` (valid Unicode) in normal form."""\n'
    assert documented in text
    file.write_text("# A comment.\n\n\n" + text.replace(documented, ""), "utf-8")
    assert Code().sha256(TRANSFORM) == before


def test_a_string_that_is_no_docstring_counts(copy):
    before = Code().sha256(TRANSFORM)
    with (copy / "data" / "normal_form.py").open("a") as file:
        file.write('\n_EDITED = "a value"\n')
    assert Code().sha256(TRANSFORM) != before


def test_the_code_of_declarations_does_not_count(copy):
    before = Code().sha256(TRANSFORM)
    for name in DECLARATIONS:
        with copy.joinpath(*name.split(".")).with_suffix(".py").open("a") as file:
            file.write("\n_EDITED = 1\n")
    assert Code().sha256(TRANSFORM) == before
    assert set(Code().module_hashes(TRANSFORM)) >= {"data.tasks"}


@pytest.mark.parametrize("name", DECLARATIONS)
def test_declarations_hold_no_code(name):
    """Their values reach stages as parameters; a function in them would reach no cache key."""
    path = importlib.util.find_spec(name).origin
    tree = ast.parse(Path(path).read_text("utf-8"))
    code = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.For, ast.While, ast.If)
    default_factories = {
        keyword.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "default_factory"
    }
    found = [n for n in ast.walk(tree) if isinstance(n, code) and n not in default_factories]
    assert not found, [f"line {node.lineno}" for node in found]


def test_imports_for_the_type_checker_alone_do_not_count(copy):
    before = Code().module_hashes(TRANSFORM)
    file = copy / "pipeline" / "transform" / "preprocessing.py"
    text = file.read_text("utf-8").replace(
        "from typing import Any\n",
        "from typing import TYPE_CHECKING, Any\n"
        "if TYPE_CHECKING:\n    from serving import server\n",
    )
    file.write_text(text, "utf-8")
    assert set(Code().module_hashes(TRANSFORM)) == set(before)


def test_files_beside_a_module_count_byte_by_byte(copy):
    before = Code().sha256(["mamba_model.native_scan"])
    with (copy / "mamba_model" / "native" / "selective_scan.h").open("a") as file:
        file.write("// A comment, which a compiler may see.\n")
    assert Code().sha256(["mamba_model.native_scan"]) != before


def test_library_versions_count(monkeypatch):
    before = Code().sha256(TRANSFORM)
    monkeypatch.setattr(code_hash, "library_versions", lambda: {"tensorflow": "9.9"})
    assert Code().sha256(TRANSFORM) != before


def test_a_module_without_a_file_is_an_error():
    with pytest.raises(UserError, match=r"^pipeline\.transform\.gone: expected a Python module"):
        Code().sha256(["pipeline.transform.gone"])


def test_an_import_of_a_module_without_a_file_is_an_error(copy):
    with (copy / "data" / "normal_form.py").open("a") as file:
        file.write("\nfrom pipeline.transform.gone import anything\n")
    with pytest.raises(UserError, match=r"^pipeline\.transform\.gone: expected"):
        Code().sha256(TRANSFORM)


def test_a_reader_outside_the_project_counts_with_what_it_imports_of_its_package(
    tmp_path, monkeypatch
):
    package = tmp_path / "our_readers"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "reviews.py").write_text("from our_readers import csv_rows\n")
    (package / "csv_rows.py").write_text("DELIMITER = ','\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert set(Code().module_hashes(["our_readers.reviews"])) == {
        "our_readers",
        "our_readers.reviews",
        "our_readers.csv_rows",
    }
    before = Code().sha256(["our_readers.reviews"])
    (package / "csv_rows.py").write_text("DELIMITER = ';'\n")
    assert Code().sha256(["our_readers.reviews"]) != before


def test_a_reader_of_a_single_file_counts(tmp_path, monkeypatch):
    (tmp_path / "our_reader.py").write_text("DELIMITER = ','\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert set(Code().module_hashes(["our_reader"])) == {"our_reader"}
