"""Forms for uploads, and a client that sends them to a node."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.api.door import Answer
from tests.api.rest import Node

BOUNDARY = "a-boundary-of-a-test"
FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Uploaded:
    """What came of an upload that was taken."""

    id: str
    json: dict[str, Any]


def form(content: bytes, filename: str = "tea.txt", mimetype: str = "text/plain", **fields: str) -> bytes:
    """The body of an upload; `__` in the name of a field is a dot."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name.replace("__", ".")}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: {mimetype}'
    return f"{''.join(parts)}--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


async def try_upload(node: Node, content: bytes, filename: str = "tea.txt", **fields: str) -> Answer:
    """Upload, and the answer."""
    return await node.ask("POST", "data", FORM, body=form(content, filename, **fields))


async def upload(node: Node, content: bytes, filename: str = "tea.txt", **fields: str) -> Uploaded:
    """Upload what has to be taken."""
    answer = await try_upload(node, content, filename, **fields)
    assert answer.status == 201, answer.body
    shown = json.loads(answer.body)
    return Uploaded(shown["id"], shown)
