"""Which scan a training takes, with a compiler and without one."""

import pytest

from mamba_model import native_scan
from pipeline.presets import preset
from pipeline.settings import with_settings
from pipeline.training import scan_choice


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    native_scan.load.cache_clear()


@pytest.mark.needs_compiler
def test_auto_is_the_scan_in_cpp_where_it_builds(capsys):
    config = scan_choice.resolve(preset("imdb", "quick"))
    assert (config.pretraining.scan, config.training.scan) == ("native", "native")
    assert capsys.readouterr().err == "  scan: in C++\n"


@pytest.mark.parametrize("asked", ["auto", "native"])
def test_without_a_compiler_it_is_xlas_and_says_what_to_install(no_compiler, capsys, asked):
    assert scan_choice.available(asked) == "xla"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: training with XLA's scan, which is slower")
    assert "apt install g++" in line


def test_a_build_that_fails_costs_a_line(monkeypatch, capsys):
    monkeypatch.setenv("CXX", "/bin/false")
    native_scan.load.cache_clear()
    config = scan_choice.resolve(preset("bible", "smoke"))
    assert config.training.scan == "xla"
    (line,) = capsys.readouterr().err.splitlines()
    assert "did not compile" in line and "/bin/false" in line


def test_a_scan_that_is_named_stays(capsys):
    config = with_settings(preset("bible", "smoke"), ["training.scan=xla", "pretraining.scan=xla"])
    assert scan_choice.resolve(config) is config
    assert capsys.readouterr().err == ""


def test_every_preset_lets_the_machine_decide():
    for task in ("bible", "imdb"):
        for name in ("smoke", "quick", "full", "best"):
            config = preset(task, name)
            assert {config.pretraining.scan, config.training.scan} == {"auto"}
