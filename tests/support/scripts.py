"""Imports this repository's scripts as modules, for tests of their functions."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def load(name: str) -> ModuleType:
    """Import scripts/NAME.py. It is registered, because its dataclasses look their module up by name."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))  # for those that import each other
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
