"""The check of a board's signature that the page of the API shows, and a control of it."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nacl.exceptions import BadSignatureError

ROOT = Path(__file__).parents[2]


def _documented() -> Callable[[bytes, str, Mapping[str, Any]], Any]:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?def verified_board.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/api.md", "exec"), names)  # noqa: S102 - the page's own example
    verified: Callable[[bytes, str, Mapping[str, Any]], Any] = names["verified_board"]
    return verified


# Returns the board of a body, its signature and a JWK Set; raises as the page says.
verified_board = _documented()


def is_verified(body: bytes, signature: str, keys: Mapping[str, Any]) -> bool:
    """Whether a body is what the owner of one of these keys signed."""
    try:
        return bool(verified_board(body, signature, keys) == json.loads(body))
    except (BadSignatureError, KeyError, ValueError):
        return False


def kid_of(signature: str) -> str:
    """Return the name of the key that a signature says to be of."""
    header = signature.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=="))["kid"])
