"""Data by itself over the wire: values, blobs up and down, and whatever a form can do wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trio

from ffd.model.ids import sha256
from ffd.store import blobfiles
from tests.api.door import Client, request
from tests.api.rest import JSON, Node, open_node
from tests.api.uploading import BOUNDARY, FORM, form, try_upload, upload

CONTENT = b"hello blob\n"
HASH = "a0639d03e7e77d7630dffce7bfe26d51813d4c799f13821e5b6786e2736baaed"
UNKNOWN = "11111111-1111-4111-8111-111111111111"
MIB = 1 << 20


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[Node, None]:
    async with open_node(tmp_path) as node:
        yield node


def blob_files(node: Node) -> list[str]:
    """The hashes that files of blobs are named by, and what else lies there."""
    folder = Path(node.parts.config.state_dir) / "blobs"
    return sorted("".join(path.relative_to(folder).parts) for path in folder.rglob("*") if path.is_file())


# Values


async def test_a_value_is_stored_by_itself_and_sent_by_its_id(node: Node) -> None:
    answer = await node.ask("POST", "data", JSON, body=b'{"value": { "b" : 1.0, "a":"<" }}')
    assert answer.status == 201
    stored = json.loads(answer.body)
    assert b'"value":{"b":1.0,"a":"\\u003c"}' in answer.body
    assert stored["validator"] == "json" and stored["hash"] == hashlib.sha256(b'{"b":1.0,"a":"\\u003c"}').hexdigest()
    assert await node.get(f"data/{stored['id']}") == stored
    sent = await node.send("POST", "messages/broadcast?confirm=true", {"data": [{"id": stored["id"]}]})
    assert json.loads(sent.body)["data"] == [{"id": stored["id"], "hash": stored["hash"]}]


@pytest.mark.parametrize(
    "body, code, status",
    [
        ({}, "FF10205", 400),
        ({"value": None}, "FF10205", 400),
        ({"value": 1, "validator": "wrong"}, "FF00108", 400),
        ({"blob": {"hash": "5f" * 32}}, "FF10239", 404),
        ({"blob": {"hash": "no hash"}}, "FF00106", 400),
        ([], "FFD2104", 400),
    ],
)
async def test_data_that_cannot_be_is_refused(node: Node, body: Any, code: str, status: int) -> None:
    answer = await node.send("POST", "data", body)
    assert (answer.code, answer.status) == (code, status)
    assert await node.get("data") == []


# Up and down


async def test_a_blob_comes_back_as_it_was_sent(node: Node) -> None:
    uploaded = await upload(node, CONTENT, autometa="true")
    shown = uploaded.json
    assert shown["value"] == {"filename": "tea.txt", "mimetype": "text/plain"}
    assert shown["blob"] == {"hash": HASH, "size": 11, "name": "tea.txt", "path": "/"}
    assert shown["validator"] == "json" and shown["namespace"] == "default"
    value_hash = hashlib.sha256(b'{"filename":"tea.txt","mimetype":"text/plain"}').hexdigest()
    assert shown["hash"] == hashlib.sha256(f"{value_hash}{HASH}".encode()).hexdigest()
    answer = await node.ask("GET", f"data/{uploaded.id}/blob")
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["content-length"] == "11"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-ff-blob-hash-sha256"] == HASH
    assert answer.headers["x-ff-blob-size"] == "11"
    assert await node.get(f"data/{uploaded.id}") == shown
    assert blob_files(node) == [HASH]


async def test_the_head_of_a_blob_has_no_body(node: Node) -> None:
    uploaded = await upload(node, CONTENT)
    stream = await trio.open_unix_socket(str(node.socket))
    async with stream:
        client = Client(stream)
        await client.say(request("HEAD", f"/api/v1/data/{uploaded.id}/blob"))
        assert b"content-length: 11" in (await client._until(b"\r\n\r\n")).lower()
        assert (await client.get(f"/api/v1/data/{uploaded.id}/blob")).body == CONTENT


async def test_the_connection_ends_behind_a_blob_when_the_client_wants_that(node: Node) -> None:
    uploaded = await upload(node, CONTENT)
    stream = await trio.open_unix_socket(str(node.socket))
    async with stream:
        client = Client(stream)
        answer = await client.get(f"/api/v1/data/{uploaded.id}/blob", "Connection: close")
        assert answer.body == CONTENT
        with trio.fail_after(5):
            assert await client.ended()


async def test_an_empty_blob_is_one_too(node: Node) -> None:
    uploaded = await upload(node, b"")
    answer = await node.ask("GET", f"data/{uploaded.id}/blob")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-ff-blob-hash-sha256"] == sha256(b"").hex()
    assert "x-ff-blob-size" not in answer.headers


async def test_a_blob_of_many_pieces_sent_in_chunks(node: Node) -> None:
    content = bytes(range(256)) * 40_000
    body = form(content)
    stream = await trio.open_unix_socket(str(node.socket))
    async with stream:
        client = Client(stream)
        await client.say(request("POST", "/api/v1/data", FORM, "Transfer-Encoding: chunked"))
        for at in range(0, len(body), 100_000):
            piece = body[at : at + 100_000]
            await client.say(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await client.say(b"0\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 201
        shown = json.loads(answer.body)
        assert shown["blob"]["hash"] == sha256(content).hex()
        assert (await client.get(f"/api/v1/data/{shown['id']}/blob")).body == content


async def test_the_same_content_twice_is_two_data_items_and_one_file(node: Node) -> None:
    first, second = await upload(node, CONTENT, "one"), await upload(node, CONTENT, "two")
    assert first.id != second.id
    assert blob_files(node) == [HASH]


# fields of the form, filename; the value and the blob's name
METADATA = {
    "none": ({}, None, ""),
    "autometa off": ({"autometa": "false"}, None, ""),
    "an object": ({"metadata": ' { "name" : "n", "x":1.50 } '}, {"name": "n", "x": 1.5}, "n"),
    "no JSON": ({"metadata": "tea at four"}, "tea at four", ""),
    "a JSON string": ({"metadata": '"tea"'}, "tea", ""),
    "null": ({"metadata": "null"}, None, ""),
    "autometa": (
        {"autometa": "TRUE", "metadata": '{"z":1,"a":{"c":1,"b":2},"filename":"other"}'},
        {"z": 1, "a": {"c": 1, "b": 2}, "filename": "tea.txt", "mimetype": "text/plain"}, "tea.txt",
    ),
    "autometa of no object": (
        {"autometa": "true", "metadata": "[1]"}, {"filename": "tea.txt", "mimetype": "text/plain"}, "tea.txt"
    ),
    "a name in a path": ({"metadata": '{"path":"a/b","filename":"f"}'}, {"path": "a/b", "filename": "f"}, "a/b/f"),
}  # fmt: skip


@pytest.mark.parametrize("fields, value, name", METADATA.values(), ids=METADATA)
async def test_what_is_said_of_a_blob_becomes_its_value(
    node: Node, fields: dict[str, str], value: Any, name: str
) -> None:
    uploaded = await upload(node, CONTENT, **fields)
    assert (uploaded.json["value"], uploaded.json["blob"]["name"]) == (value, name)


async def test_metadata_is_hashed_as_it_is_kept(node: Node) -> None:
    uploaded = await upload(node, CONTENT, metadata='{ "b" : "<", "a" : 1.0 }')
    answer = await node.ask("GET", f"data/{uploaded.id}/value")
    assert answer.body == b'{"b":"\\u003c","a":1.0}\n'
    value_hash = hashlib.sha256(answer.body.strip()).hexdigest()
    assert uploaded.json["hash"] == hashlib.sha256(f"{value_hash}{HASH}".encode()).hexdigest()


async def test_autometa_sorts_the_keys_and_keeps_every_digit(node: Node) -> None:
    uploaded = await upload(node, CONTENT, autometa="true", metadata='{"z":1.0,"b":12345678901234567890.10}')
    answer = await node.ask("GET", f"data/{uploaded.id}/value")
    assert answer.body == b'{"b":12345678901234567890.10,"filename":"tea.txt","mimetype":"text/plain","z":1.0}\n'


async def test_a_datatype_is_only_a_label_of_a_blob(node: Node) -> None:
    uploaded = await upload(node, CONTENT, validator="none", datatype__name="myblob")
    assert uploaded.json["hash"] == HASH
    assert uploaded.json["datatype"] == {"name": "myblob"} and uploaded.json["validator"] == "none"
    assert uploaded.json["blob"] == {"hash": HASH, "size": 11, "name": ""}
    for fields, code in (
        ({"datatype.name": "myblob"}, "FFD2504"),
        ({"datatype.name": "my blob", "validator": "none"}, "FF00140"),
        ({"validator": "wrong"}, "FF00108"),
    ):
        answer = await try_upload(node, CONTENT, **fields)
        assert (answer.status, answer.code) == (400, code)


async def test_what_has_no_blob_is_not_found(node: Node) -> None:
    stored = json.loads((await node.send("POST", "data", {"value": 1})).body)
    for id in (stored["id"], UNKNOWN, "no-id"):
        answer = await node.ask("GET", f"data/{id}/blob")
        assert (answer.status, answer.code) == (404, "FF00164")


async def test_folders_of_blobs_by_their_names(node: Node) -> None:
    for name in ("a/b/f", "/a/b/g", "a/c/d/f", "ab/f", "f"):
        await upload(node, name.encode(), metadata=json.dumps({"name": name}))
    assert await node.get("datasubpaths/a") == ["/a/b", "/a/c/d"]
    assert await node.get("datasubpaths/%2Fa%2Fc") == ["/a/c/d"]
    assert await node.get("datasubpaths//a/") == ["/a/b", "/a/c/d"]
    assert await node.get("datasubpaths/%2F") == ["/a/b", "/a/c/d", "/ab"]
    assert await node.get("datasubpaths/b") == []
    assert [item["blob"]["name"] for item in await node.get("data", **{"blob.path": "/a/b"})] == ["/a/b/g", "a/b/f"]


async def test_a_name_that_leads_out_of_the_folder_is_a_name(node: Node, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("untouched")
    names = ["../../secret", "/etc/passwd", "..", "a\x00b", "\x1b[31m", "CON", "x" * 3000, "./.", "~root"]
    for name in names:
        uploaded = await upload(node, CONTENT, metadata=json.dumps({"name": name}))
        assert uploaded.json["blob"]["name"] == name
        assert (await node.ask("GET", f"data/{uploaded.id}/blob")).body == CONTENT
    uploaded = await upload(node, CONTENT, "../../secret", autometa="true")
    assert uploaded.json["value"]["filename"] == "secret"
    assert blob_files(node) == [HASH]
    assert (tmp_path / "secret").read_text() == "untouched"
    for path in ("data/../../../etc/passwd", "data/..%2F..%2Fsecret/blob", "datasubpaths/..%2F..%2F"):
        assert (await node.ask("GET", path)).status in (200, 404)


# What is refused


def without(part: bytes) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(part, b"")


LIES = {
    "no end": (without(f"\r\n--{BOUNDARY}--".encode()), "FF00161"),
    "no file": (without(b'; name="file"; filename="tea.txt"'), "FF00161"),
    "a field after the file": (
        lambda body: body.replace(
            f"--{BOUNDARY}--".encode(), f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nx'.encode()
        ),
        "FF00163",
    ),
    "two files": (lambda body: body.replace(f"--{BOUNDARY}--".encode(), b"") + body, "FF00163"),
    "a huge head": (lambda body: body.replace(b"text/plain", b"x" * 100_000), "FF00161"),
    "a huge field": (
        lambda body: (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n'.encode()
            + b"x" * (2 * MIB) + b"\r\n" + body
        ),
        "FFD2016",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie, code", LIES.values(), ids=LIES)
async def test_a_form_that_lies_is_refused_and_nothing_is_kept(
    node: Node, lie: Callable[[bytes], bytes], code: str
) -> None:
    answer = await node.ask("POST", "data", FORM, body=lie(form(CONTENT)))
    assert 400 <= answer.status < 500 and answer.code == code
    assert blob_files(node) == [] and await node.get("data") == []
    await upload(node, CONTENT)


async def test_a_boundary_that_is_not_there_or_too_long(node: Node) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=" + "x" * 300):
        answer = await node.ask("POST", "data", f"Content-Type: {kind}", body=form(CONTENT))
        assert (answer.status, answer.code) == (400, "FF00161")
    answer = await node.ask("POST", "messages/broadcast", FORM, body=form(CONTENT))
    assert (answer.status, answer.code) == (415, "FF00162")


async def test_a_client_that_goes_in_the_middle_leaves_nothing(node: Node) -> None:
    body = form(bytes(5 * MIB))
    for sent in (0, 100, 300, MIB, len(body) - 10):
        stream = await trio.open_unix_socket(str(node.socket))
        async with stream:
            await stream.send_all(request("POST", "/api/v1/data", FORM, f"Content-Length: {len(body)}"))
            await stream.send_all(body[:sent])
    with trio.fail_after(10):
        while blob_files(node):  # noqa: ASYNC110 - nobody tells
            await trio.sleep(0.01)
    assert await node.get("data") == []


async def test_a_blob_beyond_the_limit_is_refused_before_it_is_sent_and_while_it_is(tmp_path: Path) -> None:
    async with open_node(tmp_path, FFD_LIMITS__BLOB_BYTES_MAX="1Mb") as node:
        await upload(node, bytes(MIB))
        answer = await try_upload(node, bytes(MIB + 1))
        assert (answer.status, answer.code) == (413, "FFD3101")
        stream = await trio.open_unix_socket(str(node.socket))
        async with stream:
            client = Client(stream)
            await client.say(request("POST", "/api/v1/data", FORM, f"Content-Length: {1 << 40}"))
            refused = await client.answer()
            assert (refused.status, refused.code) == (413, "FFD3101")
            assert await client.ended()
        assert len(blob_files(node)) == 1


async def test_a_large_upload_that_is_refused_is_not_taken(node: Node) -> None:
    """The answer comes at once, and the connection is closed behind it."""
    for target, type, status in (
        ("/api/v1/namespaces/nobody/data", FORM, 404),
        ("/api/v1/data", FORM.replace(BOUNDARY, "another"), 400),
    ):
        stream = await trio.open_unix_socket(str(node.socket))
        async with stream:
            client = Client(stream)
            await client.say(request("POST", target, type, f"Content-Length: {1 << 30}"))
            await client.say(form(CONTENT))
            with trio.fail_after(5):
                answer = await client.answer()
                assert answer.status == status and "x-ffd" in answer.headers
                assert answer.headers["connection"] == "close"
                assert await client.ended()
    await upload(node, CONTENT)


async def test_an_upload_may_take_longer_than_a_request(tmp_path: Path) -> None:
    body = form(CONTENT)
    async with open_node(tmp_path, FFD_TIMEOUTS__REQUEST_S="0.2") as node:
        stream = await trio.open_unix_socket(str(node.socket))
        async with stream:
            client = Client(stream)
            await client.say(request("POST", "/api/v1/data", FORM, f"Content-Length: {len(body)}"))
            for at in range(0, len(body), 100):
                await trio.sleep(0.15)
                await client.say(body[at : at + 100])
            assert (await client.answer()).status == 201


async def test_a_file_that_was_altered_is_cut_off_before_its_end(node: Node) -> None:
    content = bytes(range(256)) * 4000
    uploaded = await upload(node, content)
    digits = sha256(content).hex()
    path = Path(node.parts.config.state_dir) / "blobs" / digits[:2] / digits[2:]
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(AssertionError, match="the door closed"):
        await node.ask("GET", f"data/{uploaded.id}/blob")
    path.unlink()
    assert (await node.ask("GET", f"data/{uploaded.id}/blob")).code == "FF00164"
    await upload(node, content)
    assert (await node.ask("GET", f"data/{uploaded.id}/blob")).body == content


async def test_a_reader_that_goes_in_the_middle_is_noticed(node: Node) -> None:
    uploaded = await upload(node, bytes(20 * MIB))
    for _ in range(3):
        stream = await trio.open_unix_socket(str(node.socket))
        async with stream:
            await stream.send_all(request("GET", f"/api/v1/data/{uploaded.id}/blob"))
            await stream.receive_some(1000)
    with trio.fail_after(10):
        while any("blobs" in link for link in open_files()):  # noqa: ASYNC110 - nobody tells
            await trio.sleep(0.01)


async def test_so_many_downloads_at_once_and_one_more_is_told_so(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobfiles, "READ_MAX", 2)
    uploaded = await upload(node, bytes(5 * MIB))
    path = f"data/{uploaded.id}/blob"
    async with AsyncExitStack() as readers:
        for _ in range(2):
            stream = await readers.enter_async_context(await trio.open_unix_socket(str(node.socket)))
            await stream.send_all(request("GET", f"/api/v1/{path}"))
            await stream.receive_some(1000)
        answer = await node.ask("GET", path)
        assert (answer.status, answer.code) == (503, "FFD3105")
    with trio.fail_after(10):
        while (await node.ask("GET", path)).status != 200:
            pass


def open_files() -> list[str]:
    links = []
    for each in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(each.readlink()))
        except OSError:
            continue
    return links


# Sent and published


async def operations_of(node: Node, tx: str) -> list[tuple[str, str]]:
    """The operations of a transaction and how they stand, in their order."""
    found = await node.get(f"transactions/{tx}/operations", sort="created")
    return [(each["type"], each["status"]) for each in found]


async def test_a_blob_is_published_with_the_first_message_that_uses_it(node: Node) -> None:
    uploaded = await upload(node, CONTENT, autometa="true")
    assert "public" not in uploaded.json["blob"]
    messages = [await send_blob(node, {"id": uploaded.id}) for _ in range(2)]
    shown = await node.get(f"data/{uploaded.id}")
    assert shown["blob"] == uploaded.json["blob"] | {"public": HASH}
    assert (await node.get(f"messages/{messages[0]['header']['id']}/data")) == [shown]
    sent = [("sharedstorage_upload_batch", "Succeeded"), ("blockchain_pin_batch", "Succeeded")]
    assert await operations_of(node, messages[0]["txid"]) == [("sharedstorage_upload_blob", "Succeeded"), *sent]
    assert await operations_of(node, messages[1]["txid"]) == sent


async def send_blob(node: Node, item: Any) -> Any:
    answer = await node.send("POST", "messages/broadcast?confirm=true", {"data": [item]})
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


async def test_a_known_blob_is_sent_by_its_hash_with_a_value_beside_it(node: Node) -> None:
    await upload(node, CONTENT)
    message = await send_blob(node, {"blob": {"hash": HASH}, "value": {"path": "docs", "filename": "hello.txt"}})
    (item,) = await node.get(f"messages/{message['header']['id']}/data")
    assert item["blob"] == {
        "hash": HASH, "size": 11, "name": "docs/hello.txt", "path": "/docs", "public": HASH
    }  # fmt: skip
    assert (await node.ask("GET", f"data/{item['id']}/blob")).body == CONTENT
    for wrong, code in (
        ({"blob": {"hash": "5f" * 32}}, "FF10239"),
        ({"blob": {"hash": HASH}, "datatype": {"name": "t", "version": "1"}, "value": 1}, "FFD2504"),
    ):
        answer = await node.send("POST", "messages/broadcast", {"data": [wrong]})
        assert answer.code == code


async def test_a_value_or_a_blob_is_published_because_somebody_asks(node: Node) -> None:
    uploaded = await upload(node, CONTENT, metadata='{"a":1}')
    published = await node.send("POST", f"data/{uploaded.id}/value/publish", {"idempotencyKey": "once"})
    reference = sha256(b'{"a":1}').hex()
    assert json.loads(published.body) == uploaded.json | {"public": reference}
    again = await node.send("POST", f"data/{uploaded.id}/value/publish", {"idempotencyKey": "once"})
    assert (again.status, again.code) == (409, "FF10431")
    other = await node.send("POST", f"data/{uploaded.id}/blob/publish", {"idempotencyKey": "once"})
    assert (other.status, other.code) == (409, "FF10431")
    assert "public" not in (await node.get(f"data/{uploaded.id}"))["blob"]
    blob = await node.send("POST", f"data/{uploaded.id}/blob/publish", {})
    assert json.loads(blob.body)["blob"]["public"] == HASH
    storage = Path(node.parts.config.state_dir) / "storage"
    assert (storage / HASH[:2] / HASH[2:]).read_bytes() == CONTENT
    assert (storage / reference[:2] / reference[2:]).read_bytes() == b'{"a":1}'
    made = await node.get("transactions", sort="created")
    assert [each["type"] for each in made] == ["data_publish"] * 2
    assert await operations_of(node, made[0]["id"]) == [("sharedstorage_upload_value", "Succeeded")]


@pytest.mark.parametrize(
    "what, body, code, status",
    [
        ("value", {}, "FF10199", 400),
        ("value", {"idempotencyKey": "x" * 300}, "FF00135", 400),
        ("value", {"idempotencyKey": 1}, "FFD2104", 400),
    ],
)
async def test_what_cannot_be_published(node: Node, what: str, body: Any, code: str, status: int) -> None:
    uploaded = await upload(node, CONTENT, **({} if code == "FF10199" else {"metadata": "x"}))
    answer = await node.send("POST", f"data/{uploaded.id}/{what}/publish", body)
    assert (answer.status, answer.code) == (status, code)
    assert await node.get("transactions") == []


async def test_what_is_not_there_cannot_be_published(node: Node) -> None:
    stored = json.loads((await node.send("POST", "data", {"value": 1})).body)
    assert (await node.send("POST", f"data/{stored['id']}/blob/publish", {})).code == "FF10241"
    for what in ("value", "blob"):
        answer = await node.send("POST", f"data/{UNKNOWN}/{what}/publish", {})
        assert (answer.status, answer.code) == (404, "FF10109")


async def test_an_upload_is_done_once_more_when_shared_storage_lost_it(node: Node) -> None:
    uploaded = await upload(node, CONTENT)
    await node.send("POST", f"data/{uploaded.id}/blob/publish", {})
    lost = Path(node.parts.config.state_dir) / "storage" / HASH[:2] / HASH[2:]
    lost.unlink()
    (operation,) = await node.get("operations")
    answer = await node.send("POST", f"operations/{operation['id']}/retry", {})
    assert answer.status == 202, answer.body
    await node.until(f"operations/{json.loads(answer.body)['id']}", lambda found: found["status"] == "Succeeded")
    assert lost.read_bytes() == CONTENT


# Used and deleted


async def test_the_messages_that_use_a_data_item(node: Node) -> None:
    stored = json.loads((await node.send("POST", "data", {"value": "tea"})).body)
    used = [await send_blob(node, {"id": stored["id"]}) for _ in range(2)]
    (inline,) = (await node.broadcast("cake", tag="inline"))["data"]
    used.append(await send_blob(node, {"id": inline["id"]}))
    found = await node.get(f"data/{stored['id']}/messages", sort="sequence")
    assert [message["header"]["id"] for message in found] == [message["header"]["id"] for message in used[:2]]
    found = await node.get(f"data/{inline['id']}/messages", sort="sequence", count="true")
    assert (found["total"], found["items"][0]["header"]["tag"]) == (2, "inline")
    assert [each["header"]["id"] for each in await node.get(f"data/{inline['id']}/messages", tag="inline")] == [
        found["items"][0]["header"]["id"]
    ]
    assert (await node.ask("GET", f"data/{UNKNOWN}/messages")).code == "FF10109"


async def test_data_that_is_deleted_is_gone_and_its_messages_stay(node: Node) -> None:
    uploaded = await upload(node, CONTENT, autometa="true")
    message = await send_blob(node, {"id": uploaded.id})
    answer = await node.ask("DELETE", f"data/{uploaded.id}")
    assert (answer.status, answer.body) == (204, b"")
    for path in ("", "/value", "/blob", "/messages"):
        assert (await node.ask("GET", f"data/{uploaded.id}{path}")).status == 404
    assert (await node.ask("DELETE", f"data/{uploaded.id}")).status == 404
    assert blob_files(node) == [] and await node.get("blobs") == []
    id = message["header"]["id"]
    assert (await node.get(f"messages/{id}"))["data"] == message["data"]
    assert await node.get(f"messages/{id}/data") == []
    await node.get(f"messages/{id}", fetchdata="true")
    later = await node.broadcast("what comes next")
    assert (await node.get(f"messages/{later['header']['id']}/data"))[0]["value"] == "what comes next"
    assert await node.get(f"messages/{id}/data") == []
    refused = await node.send("POST", "messages/broadcast", {"data": [{"id": uploaded.id}]})
    assert refused.code == "FF10204"


async def test_a_blob_stays_as_long_as_other_data_needs_it(node: Node) -> None:
    first, second = await upload(node, CONTENT, "one"), await upload(node, CONTENT, "two")
    assert (await node.ask("DELETE", f"data/{first.id}")).status == 204
    assert (await node.ask("GET", f"data/{second.id}/blob")).body == CONTENT
    assert (await node.ask("DELETE", f"data/{second.id}")).status == 204
    assert blob_files(node) == []
    third = await upload(node, CONTENT)
    assert (await node.ask("GET", f"data/{third.id}/blob")).body == CONTENT


async def test_data_of_a_message_under_way_is_not_deleted(tmp_path: Path) -> None:
    async with open_node(tmp_path, roles=("intake",)) as node:
        uploaded = await upload(node, CONTENT)
        sent = await node.send("POST", "messages/broadcast", {"data": [{"id": uploaded.id}]})
        answer = await node.ask("DELETE", f"data/{uploaded.id}")
        assert (answer.status, answer.code) == (409, "FFD2030")
        assert json.loads(sent.body)["header"]["id"] in answer.error
        assert (await node.ask("GET", f"data/{uploaded.id}/blob")).body == CONTENT


async def test_blobs_are_listed_and_fetched_by_their_hash(node: Node) -> None:
    await upload(node, CONTENT)
    await upload(node, b"other content")
    found = await node.get("blobs", sort="-size")
    assert [(each["hash"], each["size"]) for each in found] == [(sha256(b"other content").hex(), 13), (HASH, 11)]
    assert [each["hash"] for each in await node.get("blobs", size="<12")] == [HASH]
    answer = await node.ask("GET", f"blobs/0x{HASH.upper()}")
    assert (answer.body, answer.headers["x-ff-blob-hash-sha256"]) == (CONTENT, HASH)
    assert (await node.ask("GET", f"blobs/{'5f' * 32}")).code == "FF10239"
    assert (await node.ask("GET", "blobs/..%2f..%2fffd.db")).status in (400, 404)
