"""A stage's code as one hash, so that TFX's cache tells the truth.

TFX keys a cached result by the stage's inputs and parameters, not by the modules that
our code imports. So each stage takes the hash of its own code as one more parameter.
Comments and layout do not count; docstrings do. What is not Python, in a folder `native/` or
`templates/` beside a module, counts as it is written.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

_PACKAGES = ("components", "data", "mamba_model", "pipeline", "serving")
_LIBRARIES = ("tfx", "tensorflow", "keras", "tensorflow-text", "tensorflow-transform")


def code_sha256(*modules: str) -> str:
    """Hashes the named modules, all of this project's that they import, and library versions.

    Args:
        modules: names as in `import`, for example "pipeline.transform.preprocessing".
    """
    whole = [f"{name}\n{code}\n" for name, code in sorted(_code(modules).items())]
    whole += [f"{name}=={version}\n" for name, version in library_versions().items()]
    return hashlib.sha256("".join(whole).encode()).hexdigest()


def module_hashes(*modules: str) -> dict[str, str]:
    """Hashes the named modules, and all of this project's that they import, each by its name."""
    return {
        name: hashlib.sha256(code.encode()).hexdigest()
        for name, code in sorted(_code(modules).items())
    }


def _code(modules: Iterable[str]) -> dict[str, str]:
    """The named modules and what they import of this project: name to code."""
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if name in seen or path is None:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        seen[name] = ast.dump(tree)
        for folder in ("native", "templates"):
            for source in sorted(path.parent.glob(f"{folder}/*")):
                key = f"{path.parent.name}/{folder}/{source.name}"
                seen[key] = source.read_text("utf-8")
        waiting += _imported(tree)
    return seen


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a run's result depends on."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def _imported(tree: ast.Module) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # `from a import b`: b may be a module of its own, or a name in a.
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _path(name: str) -> Path | None:
    # By file, as importlib's find_spec would import the parents.
    package, *rest = name.split(".")
    if package not in _PACKAGES:
        return None
    root = Path(__file__).parent.parent
    for path in (
        root.joinpath(package, *rest, "__init__.py"),
        root.joinpath(package, *rest).with_suffix(".py"),
    ):
        if path.is_file():
            return path
    return None  # a name in a module, not a module
