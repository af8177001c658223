"""A copy of a root folder whose records name the copy's files."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path


def copy_root(original: Path, copy: Path) -> Path:
    """Copies runs and pushed models to a new folder, where they are taken for its own."""
    shutil.copytree(original, copy, symlinks=True)
    old, new = f"{original}/", f"{copy}/"
    with closing(sqlite3.connect(copy / "runs" / "metadata.sqlite")) as database:
        database.execute("UPDATE Artifact SET uri = replace(uri, ?, ?)", (old, new))
        for table in ("ArtifactProperty", "ExecutionProperty"):
            database.execute(
                f"UPDATE {table} SET string_value = replace(string_value, ?, ?)"
                " WHERE instr(string_value, ?)",
                (old, new, old),
            )
        database.commit()
    return copy
