"""The figures in data/README.md are those that the command prints."""

from pathlib import Path

import pytest

from data import describe

README = Path(describe.__file__).with_name("README.md")


@pytest.mark.slow
def test_readme_holds_the_printed_figures(capsys):
    describe.main()
    printed = capsys.readouterr().out.splitlines()
    # Other editions are described only if their packages are installed.
    figures = [line for line in printed if not line.startswith("pythonbible_")]
    assert figures == README.read_text("utf-8").split("```\n")[1].splitlines()
    assert len(figures) > 30
