"""A copy of a root folder whose records name the copy's files, or a root lent and put back."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
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


@contextmanager
def lent_root(root: Path) -> Iterator[Path]:
    """The root itself, to be changed; afterwards it is as before.

    TFX's cache keys hold paths, so stages of a copied root find nothing in the cache.
    """
    kept = root.with_name(f"{root.name}-kept")
    shutil.copytree(root, kept, symlinks=True)
    try:
        yield root
    finally:
        shutil.rmtree(root)
        kept.rename(root)
