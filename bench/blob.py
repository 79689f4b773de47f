"""A large blob: up, published with its message, and down again; and what that costs the daemon's memory."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from bench.figures import Figure, Target, at_most
from bench.node import Node, running
from bench.plan import Plan, say, scratch
from bench.wire import Failed, Rest

MIB = 1 << 20
PIECE = os.urandom(MIB)
BOUNDARY = "a-boundary-of-a-measurement"
PATIENCE_S = 60
GROWTH = at_most(64)
RESET_PEAK = "5"  # proc(5), clear_refs


async def measure_blob(plan: Plan) -> list[Figure]:
    """Throughput of each step, and by how much the daemon's memory grew in it at its peak."""
    await trio.lowlevel.checkpoint()
    mebibytes = plan.blob_mib
    group = f"a blob of {mebibytes:,} MiB"
    with scratch() as folder, running(plan.program, folder) as node:
        say(f"a blob of {mebibytes:,} MiB")
        with step(node, mebibytes) as up:
            id = upload(node, mebibytes)
        with step(node, mebibytes) as sent:
            publish(node, id)
        with step(node, mebibytes) as down:
            download(node, id, mebibytes)
    return [
        *up.figures(group, "upload"), *sent.figures(group, "broadcast, published and confirmed"),
        *down.figures(group, "download"),
    ]  # fmt: skip


class Step:
    """One step: how long it took, what it cost, and the most memory that the daemon had beyond what it had before."""

    seconds: float
    cpu_s: float
    growth: int

    def __init__(self, mebibytes: int) -> None:
        self._mebibytes = mebibytes

    def figures(self, group: str, name: str) -> list[Figure]:
        growth: Target = GROWTH
        return [
            Figure(group, name, self._mebibytes / self.seconds, "MiB/s"),
            Figure(group, f"{name}: CPU of the daemon", self.cpu_s / self._mebibytes * 1024, "s/GiB"),
            Figure(group, f"{name}: growth of memory", self.growth / MIB, "MiB", growth),
        ]


@contextmanager
def step(node: Node, mebibytes: int) -> Iterator[Step]:
    taken = Step(mebibytes)
    Path(f"/proc/{node.pid}/clear_refs").write_text(RESET_PEAK)
    before, cpu_s, began = node.rss(), node.cpu_s(), time.monotonic()
    yield taken
    taken.seconds = time.monotonic() - began
    taken.cpu_s, taken.growth = node.cpu_s() - cpu_s, node.peak_rss() - before


def upload(node: Node, mebibytes: int) -> str:
    """Send a form with a file of so many MiB; the id of the data item."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="autometa"\r\n\r\ntrue\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large"\r\n\r\n'
    ).encode()
    end = f"\r\n--{BOUNDARY}--\r\n".encode()
    length = len(head) + mebibytes * MIB + len(end)
    with connected(node) as client:
        client.sendall(
            f"POST /api/v1/data HTTP/1.1\r\nHost: ffd\r\nContent-Length: {length}\r\nConnection: close\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode()
            + head
        )
        for _ in range(mebibytes):
            client.sendall(PIECE)
        client.sendall(end)
        answer = b"".join(iter(lambda: client.recv(MIB), b""))
    status, _, body = answer.partition(b"\r\n\r\n")
    if b" 201 " not in status[:20]:
        raise Failed(f"the upload was answered by {answer[:300]!r}")
    return str(json.loads(body)["id"])


def publish(node: Node, id: str) -> None:
    """Broadcast the data item, and wait until the message is confirmed."""
    with Rest(node.socket, PATIENCE_S) as rest:
        rest.post("/api/v1/messages/broadcast?confirm=true", {"data": [{"id": id}]}, expected=200)


def download(node: Node, id: str, mebibytes: int) -> None:
    """Read the blob to its end, and throw it away."""
    with connected(node) as client:
        client.sendall(f"GET /api/v1/data/{id}/blob HTTP/1.1\r\nHost: ffd\r\nConnection: close\r\n\r\n".encode())
        received = sum(len(piece) for piece in iter(lambda: client.recv(MIB), b""))
    if received < mebibytes * MIB:
        raise Failed(f"the download ended after {received} bytes")


@contextmanager
def connected(node: Node) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_S)
        client.connect(str(node.socket))
        yield client
