"""Import of a module without its package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def import_alone(name: str) -> ModuleType:
    """The module of this name, imported without its package, whose import takes seconds.

    A later import of the package finds this module.

    Args:
        name: package.module; the module imports nothing from its package.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    if name not in sys.modules:
        package, _, stem = name.rpartition(".")
        found = importlib.util.find_spec(package)
        if found is None:
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)
        file = Path(found.origin).with_name(f"{stem}.py")
        spec = importlib.util.spec_from_file_location(name, file)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
