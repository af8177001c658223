from mamba_model import native_scan
from pipeline.training import available_scan


def test_without_a_compiler_it_trains_by_xla_and_says_so(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    native_scan.load.cache_clear()
    assert available_scan("native") == "xla"
    assert "warning: training with XLA's scan instead: the native scan needs a C++ compiler" in (
        capsys.readouterr().err
    )
