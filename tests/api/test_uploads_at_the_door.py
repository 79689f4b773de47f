"""Uploads as the door lets them through: never held, never ahead of whoever takes them, bounded in number and rate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ffd.api.refusals import HANDLERS
from ffd.model.errors import Invalid
from tests.api.door import LIMITS, open_door, request

MIB = 1 << 20
FORM = "Content-Type: multipart/form-data; boundary=x"
TIGHT = replace(LIMITS, body_bytes_max=MIB, bodies_bytes_max=2 * MIB, upload_bytes_max=64 * MIB)


class Taker:
    """An app that takes a body when it is told to, and counts what it took."""

    def __init__(self) -> None:
        self.go_on = trio.Event()
        self.taken = 0

    def app(self) -> Starlette:
        async def data(request: Request) -> Response:
            if "x-unwanted" in request.headers:
                raise Invalid("FF00169", "Unauthorized")
            await self.go_on.wait()
            async for piece in request.stream():
                self.taken += len(piece)
            return JSONResponse(self.taken)

        return Starlette(routes=[Route("/api/v1/data", data, methods=["POST"])], exception_handlers=dict(HANDLERS))


def head(length: int, *more: str) -> bytes:
    return request("POST", "/api/v1/data", FORM, f"Content-Length: {length}", *more)


async def test_an_upload_that_nobody_takes_is_not_taken_ahead(tmp_path: Path) -> None:
    taker, sent = Taker(), 0
    async with open_door(tmp_path, app=taker.app(), limits=TIGHT) as door:
        client = await door.connect()
        await client.say(head(32 * MIB))
        with trio.move_on_after(0.5):
            while True:
                await client.say(bytes(MIB // 8))
                sent += MIB // 8
        assert sent < 4 * MIB and taker.taken == 0
        await client.stream.aclose()


async def test_an_upload_beyond_the_bodies_of_all_passes(tmp_path: Path) -> None:
    taker = Taker()
    taker.go_on.set()
    async with open_door(tmp_path, app=taker.app(), limits=TIGHT) as door:
        client = await door.connect()
        await client.say(head(8 * MIB))
        for _ in range(8):
            await client.say(bytes(MIB))
        assert json.loads((await client.answer()).body) == 8 * MIB
        await client.say(request("POST", "/api/v1/data", "Content-Type: application/json", body=bytes(2 * MIB)))
        refused = await client.answer()
        assert (refused.status, refused.code) == (413, "FFD2007")


async def test_no_more_uploads_at_once_than_the_limit(tmp_path: Path) -> None:
    taker = Taker()
    async with open_door(tmp_path, app=taker.app(), limits=replace(TIGHT, uploads_max=2)) as door:
        waiting = [await door.connect() for _ in range(2)]
        for client in waiting:
            await client.say(head(10) + bytes(10))
        await trio.sleep(0.05)
        late = await door.connect()
        await late.say(head(10) + bytes(10))
        refused = await late.answer()
        assert (refused.status, refused.code) == (503, "FFD2015")
        taker.go_on.set()
        for client in waiting:
            assert (await client.answer()).status == 200
        for client in waiting:
            await client.say(head(10) + bytes(10))
            assert (await client.answer()).status == 200


async def test_an_upload_that_comes_too_slowly_is_given_up(tmp_path: Path) -> None:
    taker = Taker()
    taker.go_on.set()
    limits = replace(TIGHT, body_grace_s=0.2, body_rate_min=MIB)
    async with open_door(tmp_path, app=taker.app(), limits=limits) as door:
        client = await door.connect()
        await client.say(head(10 * MIB) + bytes(1000))
        refused = await client.answer()
        assert (refused.status, refused.code) == (408, "FF00166")
        assert await client.ended()


async def test_who_may_not_upload_hears_so_before_the_body_is_taken(tmp_path: Path) -> None:
    """A small body is taken in all the same, and the connection kept: clients write before they read."""
    taker = Taker()
    async with open_door(tmp_path, app=taker.app(), limits=TIGHT) as door:
        client = await door.connect()
        await client.say(head(32 * MIB, "X-Unwanted: yes"))
        with trio.fail_after(5):
            refused = await client.answer()
        assert (refused.status, refused.code, refused.headers["connection"]) == (401, "FF00169", "close")
        assert await client.ended()
        client = await door.connect()
        for _ in range(2):
            await client.say(head(1000, "X-Unwanted: yes") + bytes(1000))
            assert (await client.answer()).status == 401
        client = await door.connect()
        await client.say(request("POST", "/api/v1/data", FORM, "Transfer-Encoding: chunked", "X-Unwanted: yes"))
        assert (await client.answer()).status == 401
        assert await client.ended()
    assert taker.taken == 0
