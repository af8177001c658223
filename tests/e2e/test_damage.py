"""Files of earlier runs that were damaged: noticed, named, and made again."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from copied_root import lent_root

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def damaged(bible) -> Iterator[CommandLine]:
    """The Bible's root, to damage."""
    with lent_root(bible.root) as root:
        yield CommandLine(root)


def artifact(command: CommandLine, output: str) -> Path:
    """The newest artifact of "Stage/output"."""
    found = (command.root / "runs" / "artifacts" / "bible" / output).iterdir()
    return max(found, key=lambda path: int(path.name))


def change(file: Path) -> None:
    """Changes one byte in the middle; the file's size and times stay."""
    content, times = bytearray(file.read_bytes()), file.stat()
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def stages(stderr: str) -> dict[str, str]:
    """Each stage that ended, and its seconds or "cached"."""
    lines = [line.split() for line in stderr.splitlines() if line.startswith("  ")]
    return {line[0]: line[1] for line in lines if len(line) in (2, 3) and line[1] != "in"}


def again(stderr: str) -> set[str]:
    return {stage for stage, took in stages(stderr).items() if took != "cached"}


def test_a_damaged_model_is_trained_again_to_the_same_weights_and_pushed(damaged):
    before = damaged.summary("bible")
    assert damaged("verify").returncode == 0
    model = artifact(damaged, "Trainer/model") / "Format-Serving"
    change(model / "variables" / "variables.data-00000-of-00001")
    (model / "assets" / "added.txt").write_text("added")
    verified = damaged("verify", before["run_id"])
    assert verified.returncode == 1
    *lines, last = verified.stdout.splitlines()
    assert lines == [
        f"Trainer: {model}/assets/added.txt has been added",
        f"Trainer: {model}/variables/variables.data-00000-of-00001 has changed",
    ]
    assert f"run {before['run_id']} of bible" in last and "2 differ: `tf-mamba run bible`" in last
    done = damaged("run", "bible", "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "runs again" in line]
    assert [line.split(":")[0].strip() for line in told] == ["Trainer"], done.stderr
    assert "added.txt has been added (and 1 more)" in told[0]
    assert {"Trainer", "InfraCheck", "Evaluator", "Pusher"} <= again(done.stderr)
    after = damaged.summary("bible")
    assert "warning: a pushed model is not as it was made" in done.stderr  # the one to compare with
    assert after["hashes"] == before["hashes"]
    assert after["blessed"] and after["pushed_path"] != before["pushed_path"]


def test_a_damaged_pushed_version_is_refused_and_pushed_again(damaged):
    pushed = Path(damaged.summary("bible")["pushed_path"])
    variables = pushed / "variables" / "variables.data-00000-of-00001"
    change(variables)
    verified = damaged("verify", f"bible/{pushed.name}")
    assert verified.returncode == 1 and f"{variables} has changed" in verified.stdout
    refused = damaged("generate", "bible", "In the beginning")
    assert refused.returncode == 1 and refused.stdout == ""
    assert refused.stderr.splitlines()[-1] == (
        f"tf-mamba: {variables} has changed since it was pushed: `tf-mamba run bible` pushes the"
        " model again, and `tf-mamba rollback bible` serves the version before"
    )
    done = damaged("run", "bible", "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    assert {"Pusher"} <= again(done.stderr) <= {"Baseline", "ModelCard", "Pusher", "RunReport"}
    assert damaged.summary("bible")["pushed_path"] != str(pushed)
    assert damaged.succeeds("generate", "bible", "In the beginning")


def test_damaged_data_is_made_again_as_it_was(damaged):
    shutil.rmtree(artifact(damaged, "TextExampleGen/examples") / "Split-eval")
    done = damaged("run", "bible", "--preset", "smoke", "--to", "TextExampleGen")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "runs again" in line]
    assert line.strip().startswith("TextExampleGen: ")
    assert "Split-eval" in line and "is missing" in line
    ledger = artifact(damaged, "TextExampleGen/records") / "records.json"
    assert json.loads(ledger.read_text())["examples"]["eval"] > 0
    assert list((artifact(damaged, "TextExampleGen/examples") / "Split-eval").iterdir())


def test_a_partial_run_refuses_damaged_inputs_and_says_what_makes_them_again(damaged):
    graph = artifact(damaged, "Transform/transform_graph")
    (vocabulary,) = graph.glob("transform_fn/assets/vocabulary.txt")
    change(vocabulary)
    pushed = sorted((damaged.root / "serving_models" / "bible").iterdir())
    done = damaged("run", "bible", "--preset", "smoke", "--from", "Trainer", "--no-cache")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if "vocabulary" in line]
    assert "Trainer: its input transform_graph is not as it was made" in line
    assert f"{vocabulary} has changed" in line and "whole run" in line
    assert "Traceback" not in done.stderr
    assert sorted((damaged.root / "serving_models" / "bible").iterdir()) == pushed
    done = damaged("run", "bible", "--preset", "smoke", "--to", "Transform")
    assert done.returncode == 0 and "Transform" in again(done.stderr), done.stderr
