import inspect

from pipeline.orchestrators import local_runner


def test_tfx_logs_the_messages_that_the_runner_waits_for():
    """Otherwise stages would have no lines, and a failed resolution would go unnoticed."""
    from tfx.orchestration.local import local_dag_runner
    from tfx.orchestration.portable import launcher, resolver_node_handler

    logged = inspect.getsource(local_dag_runner)
    assert local_runner.RUNNING in logged
    assert local_runner.FINISHED in logged
    assert f"{local_runner.CACHED} %d" in inspect.getsource(launcher)
    for module in (launcher, resolver_node_handler):
        assert local_runner.UNRESOLVED in inspect.getsource(module)
