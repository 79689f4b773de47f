"""FireFly's test vectors, one pytest case each, named as they are named there."""

import json
from pathlib import Path
from typing import Any

import pytest

_FAMILIES: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors.json").read_text())["families"]


def cases(family: str) -> pytest.MarkDecorator:
    """Parametrize a test over `given` and `expected` of each vector of the family."""
    rows = [pytest.param(v["input"], v["expected"], id=v["name"]) for v in _FAMILIES[family]["vectors"]]
    return pytest.mark.parametrize("given, expected", rows)
