"""Whole runs; TFX takes long to start, so the tests of a session share them."""

import pytest
from command_line import CommandLine


@pytest.fixture(scope="session")
def bible(tmp_path_factory) -> CommandLine:
    """After a smoke run on a tenth of the chapters."""
    command = CommandLine(tmp_path_factory.mktemp("bible"))
    command.succeeds("run", "bible", "--preset", "smoke")
    return command


@pytest.fixture(scope="session")
def imdb(tmp_path_factory) -> CommandLine:
    """After a smoke run on a tenth of the reviews that was killed in Transform and run again."""
    command = CommandLine(tmp_path_factory.mktemp("imdb"))
    killed = command.start("run", "imdb", "--preset", "smoke")
    assert killed.stderr is not None
    for line in killed.stderr:
        if "DataGate" in line:  # Transform is next
            break
    else:
        pytest.fail(f"the run ended before DataGate did: exit {killed.wait()}")
    killed.kill()
    killed.communicate()
    command.succeeds("run", "imdb", "--preset", "smoke")
    return command
