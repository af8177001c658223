"""Scores the pushed Bible model on split `test`, which nothing else uses.

The test chapters, each its own document as in `tf-mamba score bible`: bits per character (with
line ends), token top-1.

    python -m benchmarks.final_score [--root FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.corpora import packaged, read_splits
from benchmarks.report import commit, hardware, json_line, parser


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--root", type=Path, default=Path(), help="folder of serving_models/")
    given = options.parse_args(arguments)

    from pipeline.pushed_models import model as pushed_model
    from pipeline.pushed_models import scoring

    model = pushed_model.latest_version(given.root / "serving_models", "bible")
    chapters = read_splits(packaged("bible"))["test"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n\n".join(str(chapter.features["text"]) for chapter in chapters))
        file.flush()
        score = scoring.score_text(model, Path(file.name))
    record = {"bench": "final_score", "split": "test", "chapters": len(chapters), **score}
    json_line(record | {"model": model.name, "hardware": hardware(), "commit": commit()}, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
