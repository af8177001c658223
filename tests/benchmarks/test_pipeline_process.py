"""Kills of `tf-mamba run` in a process."""

from benchmarks import pipeline_process


def test_kill_ends_a_run_and_says_whether_it_was_running(tmp_path):
    run = ("bible", "--preset", "smoke", "--root", str(tmp_path))
    asked = []
    reached = lambda: asked.append(1) or len(asked) == 3  # noqa: E731
    assert pipeline_process.kill(*run, reached=reached, after=0.1)
    assert len(asked) == 3 and not list(tmp_path.glob("runs/artifacts/*"))
    assert not pipeline_process.kill("no-such-task", reached=lambda: False, after=60)
