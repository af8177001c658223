import os
import signal
import subprocess
import sys

import pytest
from read_corpora import BIBLE, opened

from data.errors import UserError
from pipeline.orchestrators.beam import Beam


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--runner=FlinkRunner",), "use --beam-runner"),
        (("direct_running_mode=multi_threading",), "Beam loses records"),
    ],
)
def test_options_that_would_mislead_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        Beam(arguments=arguments)


@pytest.mark.slow
def test_a_runner_that_beam_does_not_know_is_refused_with_those_it_knows():
    with pytest.raises(UserError, match=r"--beam-runner Flunk: .*FlinkRunner"):
        Beam(runner="Flunk").check()
    Beam().check()


def test_workers_are_no_part_of_the_options_and_so_of_the_cache():
    one, two = (
        [arg if isinstance(arg, str) else str(arg.encode()) for arg in Beam(n).pipeline_args()]
        for n in (1, 2)
    )
    assert one == two
    assert any("direct_num_workers" in arg for arg in one)


def test_only_runners_of_this_machine_get_its_options():
    args = [str(arg) for arg in Beam(runner="FlinkRunner").pipeline_args()]
    assert args[0] == "--runner=FlinkRunner"
    assert not any("direct" in arg for arg in args)
    assert any(arg.startswith("--setup_file=") and arg.endswith("setup.py") for arg in args)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runner", "given", "view", "expected"),
    [
        (
            "FlinkRunner",
            ("flink_master=flink:8081", "--parallelism=4"),
            "FlinkRunnerOptions",
            {"flink_master": "flink:8081"},
        ),
        (
            "SparkRunner",
            ("spark_master_url=spark://spark:7077",),
            "SparkRunnerOptions",
            {"spark_master_url": "spark://spark:7077"},
        ),
        (
            "DataflowRunner",
            ("project=p", "region=europe-west4", "temp_location=gs://bucket/tmp"),
            "GoogleCloudOptions",
            {"project": "p", "region": "europe-west4", "temp_location": "gs://bucket/tmp"},
        ),
    ],
)
def test_a_clusters_options_reach_every_beam_stage_and_are_read_by_beam(
    tmp_path, runner, given, view, expected
):
    from apache_beam.options import pipeline_options
    from tfx.dsl.compiler import compiler
    from tfx.orchestration.local import runner_utils

    from pipeline.orchestrators.definition import define
    from pipeline.places import Places
    from pipeline.presets import preset

    pipeline = define(
        preset("bible", "smoke"),
        opened(BIBLE),
        Places.below(tmp_path),
        Beam(runner=runner, arguments=given).pipeline_args(),
    )
    compiled = compiler.Compiler().compile(pipeline)
    specs = runner_utils.extract_local_deployment_config(compiled)
    of_beam = {
        name: list(spec.beam_executable_spec.beam_pipeline_args)
        for name, spec in specs.executor_specs.items()
        if spec.HasField("beam_executable_spec")
    }
    assert {"TextExampleGen", "StatisticsGen", "Transform", "Evaluator"} <= set(of_beam)
    for args in of_beam.values():
        options = pipeline_options.PipelineOptions(args)
        assert options.view_as(pipeline_options.StandardOptions).runner == runner
        assert options.view_as(pipeline_options.SetupOptions).setup_file.endswith("setup.py")
        read = options.view_as(getattr(pipeline_options, view))
        assert {name: getattr(read, name) for name in expected} == expected


IN_WORKER_PROCESSES = """
import time
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from pipeline import interrupts
from pipeline.orchestrators.beam import Beam

def wait(each):
    print("begun", flush=True)
    time.sleep(60)

options = ["--runner=FnApiRunner", "--direct_running_mode=multi_processing"]
with interrupts.handled(), Beam().quiet_workers():
    with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
        pipeline | beam.Create([1]) | beam.Map(wait)
"""


@pytest.mark.slow
def test_a_terminals_ctrl_c_makes_no_worker_process_print(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", IN_WORKER_PROCESSES],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "begun\n"  # a worker's
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)  # until the last worker has closed its outputs
    assert process.returncode == 130
    assert err.splitlines()[-1] == "tf-mamba: interrupted"
    assert "Traceback" not in err
