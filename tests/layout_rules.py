"""The rules of the layout, as functions of a source tree, so that they can be tried on a small false one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGES = {
    "models": set(),
    "tools.common": set(),
    "tools.data": {"tools.common"},
    "tools.flops": {"models", "tools.common"},
    "tools.results": {"tools.common"},
    "tools.runtime": {"tools.data", "models", "tools.common"},
    "tools.explanations": {
        *("tools.runtime", "tools.results", "tools.data", "tools.flops", "models", "tools.common"),
    },
    "tools.evaluation": {
        *("tools.explanations", "tools.runtime", "tools.results", "tools.data", "tools.flops", "models"),
        "tools.common",
    },
    "tools.inference": {"tools.evaluation", "tools.runtime", "tools.data", "models", "tools.common"},
    "tools.training": {"tools.evaluation", "tools.runtime", "tools.data", "tools.flops", "models", "tools.common"},
}
"""Package -> the packages that it may import."""
PACKAGES["tools.benchmarks"] = set(PACKAGES)
PACKAGES["tools"] = set(PACKAGES)
PACKAGES["run_files"] = set(PACKAGES)

PUBLISHED = {"store_saliencies.py", "store_attentions.py", "bert_flops_calc.py", "bert_w_lr_flops_calc.py"}
"""The only programs in tools/ itself: their paths are published."""

LONGEST_FUNCTION, LONGEST_MODULE = 60, 350


def modules(root: Path) -> list[Path]:
    """Every module of the project, at every depth."""
    return sorted(path for room in ("models", "tools", "run_files") for path in (root / room).rglob("*.py"))


def module_name(path: Path, root: Path) -> str:
    """A module's dotted name."""
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    return name.removesuffix(".__init__")


def package_of(name: str) -> str:
    """The package in the table that a module or package belongs to."""
    parts = name.split(".")
    if parts[0] == "tools" and ".".join(parts[:2]) in PACKAGES:
        return ".".join(parts[:2])
    return parts[0]


def imports(path: Path, root: Path) -> set[str]:
    """Modules and packages of the project that a module imports, at any place in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    known = {module_name(module, root) for module in modules(root)}
    return {name for name in names if name in known}


def upward_imports(root: Path) -> Iterator[str]:
    """Imports that the table of packages does not allow."""
    for path in modules(root):
        package = package_of(module_name(path, root))
        for name in imports(path, root):
            target = package_of(name)
            if target != package and target not in PACKAGES[package] and name != "tools":
                yield f"{path.relative_to(root)} imports {name}"


def cycles(root: Path) -> Iterator[str]:
    """Modules that import themselves by way of others."""
    graph = {module_name(path, root): imports(path, root) for path in modules(root)}
    for start in graph:
        reached, pending = set(), list(graph[start])
        while pending:
            name = pending.pop()
            if name not in reached:
                reached.add(name)
                pending += graph.get(name, ())
        if start in reached:
            yield start


def strays(root: Path) -> Iterator[str]:
    """Modules that belong to no package."""
    for path in (root / "tools").glob("*.py"):
        if path.name not in {*PUBLISHED, "__init__.py"}:
            yield str(path.relative_to(root))
    for path in (root / "tools").iterdir():
        if path.is_dir() and path.name != "__pycache__" and f"tools.{path.name}" not in PACKAGES:
            yield str(path.relative_to(root))


def too_long(root: Path) -> Iterator[str]:
    """Functions and modules that exceed the limits."""
    for path in modules(root):
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > LONGEST_MODULE:
            yield f"{path.relative_to(root)} has {len(text.splitlines())} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    yield f"{path.relative_to(root)}: {node.name} has {lines} lines"
