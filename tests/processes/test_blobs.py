"""Blobs of a real daemon that is killed: what was answered is there, and of what was not nothing is left."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from ffd.model.ids import sha256
from ffd.world import UNFINISHED
from tests.api.uploading import BOUNDARY, form
from tests.processes.node import House, Node, until

CONTENT = os.urandom(3 << 20)


def request_head(length: int) -> bytes:
    return (
        f"POST /api/v1/data HTTP/1.1\r\nHost: ffd\r\nConnection: close\r\nContent-Length: {length}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    ).encode()


def files(node: Node) -> list[Path]:
    return [path for path in (node.state / "blobs").rglob("*") if path.is_file()]


def test_a_daemon_that_is_killed_keeps_each_blob_that_it_took_and_nothing_of_the_others(house: House) -> None:
    node = Node(house)
    program = node.start()
    body = form(CONTENT, autometa="true")
    answer = node.ask(request_head(len(body)) + body)
    assert answer.status == 201, answer
    id = json.loads(answer.body)["id"]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(node.socket))
        client.sendall(request_head(1 << 30) + form(CONTENT + b"more")[:-100])
        until("some of it is on disk", lambda: [path for path in files(node) if path.name.startswith(UNFINISHED)])
        program.kill()
    assert len(files(node)) == 2

    program = node.start()
    assert ["".join(path.parts[-2:]) for path in files(node)] == [sha256(CONTENT).hex()]
    down = node.ask(f"GET /api/v1/data/{id}/blob HTTP/1.1\r\nHost: ffd\r\nConnection: close\r\n\r\n".encode())
    assert down.body == CONTENT
    sent = node.post("/api/v1/messages/broadcast", json.dumps({"data": [{"id": id}]}).encode())
    assert sent.status == 202
    program.kill()

    program = node.start()
    node.wait_settled()
    _, item = node.get(f"/api/v1/data/{id}")
    assert item["blob"]["public"] == sha256(CONTENT).hex()
    _, uploads = node.get("/api/v1/operations?type=sharedstorage_upload_blob")
    assert [each["status"] for each in uploads] == ["Succeeded"]
    node.stop(program)
