"""Hashes of code, so that TFX's cache is truthful.

TFX keys a cached result by the stage's inputs and parameters, but not by the modules that the
stage runs. So each stage takes the hash of its code as one more parameter; stage_code.py says
which modules that are.

A module counts together with all modules that it imports from the same packages, as syntax
trees: comments, layout and docstrings do not count. Files in a folder "native" or "templates"
beside a module that names the folder count byte by byte. The modules in DECLARATIONS do not count,
nor what they import, because their values reach a stage as its parameters.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from data.errors import UserError

DECLARATIONS = ("data.tasks", "pipeline.config")
# Runs before the stages; what it reads reaches them as parameters too.
_READS_DECLARATIONS = "data.task_files"
_NOT_COUNTED = (*DECLARATIONS, _READS_DECLARATIONS)
_PACKAGES = ("components", "data", "mamba_model", "pipeline", "serving")
_LIBRARIES = (
    "tfx",
    "tensorflow",
    "keras",
    "sentencepiece",
    "tensorflow-text",
    "tensorflow-transform",
)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a run's result depends on."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


class Code:
    """The code of modules as it is on the disk; each file is read once."""

    def __init__(self) -> None:
        self._modules: dict[str, _Module] = {}

    def sha256(self, modules: Iterable[str]) -> str:
        """Hashes modules, all that they import, and the libraries' versions.

        Args:
            modules: names as in `import`, for example "pipeline.transform.preprocessing".

        Raises:
            UserError: if a module has no source file.
        """
        parts = [
            f"{name}\n{code}\n"
            for name, code in self._reachable(modules, opaque=_NOT_COUNTED).items()
            if name not in _NOT_COUNTED
        ]
        parts += [f"{name}=={version}\n" for name, version in library_versions().items()]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def module_hashes(self, modules: Iterable[str]) -> dict[str, str]:
        """SHA-256 of each of the modules and of all that they import, DECLARATIONS too.

        Raises:
            UserError: as `sha256`.
        """
        return {
            name: hashlib.sha256(code.encode()).hexdigest()
            for name, code in self._reachable(modules).items()
        }

    def _reachable(self, modules: Iterable[str], opaque: Collection[str] = ()) -> dict[str, str]:
        """Name to code of modules, of what they import, and of the files beside them, sorted.

        `opaque`: modules whose own imports are left out.
        """
        waiting = list(modules)
        packages = {*_PACKAGES, *(name.partition(".")[0] for name in waiting)}
        found: dict[str, str] = {}
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            module = self._module(name)
            found[name] = module.code
            found.update(module.files)
            for imported, attributes in module.imports if name not in opaque else ():
                if imported.partition(".")[0] not in packages:
                    continue
                waiting.append(imported)
                # `from a import b`: b is a module of its own, or a name in a.
                submodules = (f"{imported}.{attribute}" for attribute in attributes)
                waiting += [name for name in submodules if _file(name)]
        return dict(sorted(found.items()))

    def _module(self, name: str) -> _Module:
        if name not in self._modules:
            self._modules[name] = _Module(name)
        return self._modules[name]


class _Module:
    """One module: its code, the files beside it that count, and its imports."""

    def __init__(self, name: str) -> None:
        path = _file(name)
        if path is None:
            raise UserError(
                f"{name}: expected a Python module of which a stage's cache key is made, found no"
                " source file; correct the name where it is imported, in pipeline/stage_code.py or"
                " in the task's `reading.reader`"
            )
        tree = ast.parse(path.read_text("utf-8"))
        self.imports = list(_imports(tree))
        self.code = ast.dump(_without_docstrings(tree))
        constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        self.files = {
            f"{path.parent.name}/{folder}/{file.name}": file.read_text("utf-8")
            for folder in ("native", "templates")
            if folder in constants
            for file in sorted(path.parent.glob(f"{folder}/*"))
        }


def _imports(node: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """The modules that code imports as it runs, and the names taken from them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, []) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and child.level == 0:
            yield child.module, [alias.name for alias in child.names]
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        else:
            yield from _imports(child)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return tree


def _file(name: str) -> Path | None:
    """The source file of a module; None if there is none. Imports nothing."""
    package, *rest = name.split(".")
    for folder in _folders(package):
        for path in (
            folder.joinpath(*rest, "__init__.py"),
            folder.joinpath(*rest).with_suffix(".py"),
        ):
            if path.is_file():
                return path
    return None


def _folders(package: str) -> list[Path]:
    """Where the modules of a top-level package or module lie."""
    if package in _PACKAGES:
        return [Path(__file__).parents[1] / package]
    spec = importlib.util.find_spec(package)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(folder) for folder in spec.submodule_search_locations]
    return [Path(spec.origin).with_suffix("")] if spec.origin else []
