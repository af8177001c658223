"""Rules for the graph of an export. The probe loads this file by path, see probe.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

# TensorFlow Serving has no Python. Nor does it compile by XLA: such functions fail at their
# first request (--xla_cpu_compilation_enabled is false).
PYTHON_OPS = frozenset({"PyFunc", "EagerPyFunc", "PyFuncStateless"})
# `/a/b` and `C:\\a` where a path can begin: at the start of a text, or after TensorFlow's prefix
# of a file name, as in the shared name `hash_table_/tmp/vocabulary.txt_-2_-1`.
_PATH = re.compile(rb"(?:^|_|file:(?://)?)(?:/[\w.~-]+/[\w.~-]|[A-Za-z]:\\)")


def findings(meta_graph: Any, known_ops: Callable[[str], bool]) -> Iterator[str]:
    """Yields the findings, one line each.

    Args:
        meta_graph: MetaGraphDef of the export.
        known_ops: whether this process knows the op with a given name.
    """
    library = meta_graph.graph_def.library.function
    where = [("the main graph", meta_graph.graph_def.node)]
    where += [(f"function {function.signature.name}", function.node_def) for function in library]
    for function in library:
        if "_XlaMustCompile" in function.attr and function.attr["_XlaMustCompile"].b:
            yield f"function {function.signature.name} must be compiled by XLA"
    functions = {function.signature.name for function in library}  # a call names one as its op
    unknown: set[str] = set()
    for place, nodes in where:
        for node in nodes:
            if "_XlaMustCompile" in node.attr and node.attr["_XlaMustCompile"].b:
                yield f"{place}: node {node.name} must be compiled by XLA"
            if node.op in PYTHON_OPS:
                yield f"{place}: node {node.name} calls Python ({node.op})"
            elif node.op not in unknown | functions and not known_ops(node.op):
                unknown.add(node.op)
                yield f"{place}: op {node.op} is neither TensorFlow's nor TF Text's"
            for path in _paths(node):
                yield f"{place}: node {node.name} holds the absolute path {path}"
    for asset in meta_graph.asset_file_def:
        if _PATH.search(asset.filename.encode()):
            yield f"asset {asset.tensor_info.name} has the absolute path {asset.filename}"


def _paths(node: Any) -> Iterator[str]:
    for attribute in node.attr.values():
        kind = attribute.WhichOneof("value")
        if kind == "s":
            texts = [attribute.s]
        elif kind == "list":
            texts = attribute.list.s
        elif kind == "tensor":
            texts = attribute.tensor.string_val
        else:
            continue
        for text in texts:
            if len(text) < 4096 and _PATH.search(text):
                yield text.decode(errors="replace")
