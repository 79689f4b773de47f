"""Forms that are none, and names that are paths."""

from __future__ import annotations

import json

import pytest

from tests.hostile.target import API, Target
from tests.hostile.wire import Heard, ask, request

BOUND = "XbX"


def form(*parts: bytes, end: bytes = b"--XbX--\r\n") -> bytes:
    return b"".join(b"--XbX\r\n" + part + b"\r\n" for part in parts) + end


def file_part(name: str, content: bytes = b"content") -> bytes:
    return f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content


def post_form(target: Target, body: bytes, kind: str = f"multipart/form-data; boundary={BOUND}") -> Heard:
    return ask(target.tcp, request("POST", f"{API}/data", f"Content-Type: {kind}", "Connection: close", body=body))


AUTOMETA = b'Content-Disposition: form-data; name="autometa"\r\n\r\ntrue'
FORMS: dict[str, tuple[bytes, str]] = {
    "no boundary": (form(file_part("a")), "multipart/form-data"),
    "another boundary": (form(file_part("a")), "multipart/form-data; boundary=other"),
    "a boundary of a kilobyte": (form(file_part("a")), "multipart/form-data; boundary=" + "b" * 1000),
    "nothing": (b"", f"multipart/form-data; boundary={BOUND}"),
    "noise": (bytes(range(256)) * 100, f"multipart/form-data; boundary={BOUND}"),
    "no file": (form(AUTOMETA), f"multipart/form-data; boundary={BOUND}"),
    "no end": (form(file_part("a"), end=b""), f"multipart/form-data; boundary={BOUND}"),
    "a field behind the file": (form(file_part("a"), AUTOMETA), f"multipart/form-data; boundary={BOUND}"),
    "headers without end": (b"--XbX\r\n" + b"X-A: b\r\n" * 50_000, f"multipart/form-data; boundary={BOUND}"),
    "a header of a megabyte": (b"--XbX\r\nX-A: " + b"b" * 1_000_000, f"multipart/form-data; boundary={BOUND}"),
    "a field of two megabytes": (
        form(b'Content-Disposition: form-data; name="metadata"\r\n\r\n"' + b"x" * 2_000_000 + b'"', file_part("a")),
        f"multipart/form-data; boundary={BOUND}",
    ),
    "ten thousand fields": (form(*[AUTOMETA] * 10_000, file_part("a")), f"multipart/form-data; boundary={BOUND}"),
    "two files": (form(file_part("a"), file_part("b")), f"multipart/form-data; boundary={BOUND}"),
}


@pytest.mark.parametrize("body, kind", FORMS.values(), ids=FORMS)
def test_hostile_forms_are_refused_and_leave_nothing(target: Target, body: bytes, kind: str) -> None:
    before = target.node.get(f"{API}/blobs?count&limit=1")[1]["total"]
    heard = post_form(target, body, kind)
    assert 400 <= heard.status < 500 and heard.code.startswith("FF"), heard.raw[:500]
    assert target.node.get(f"{API}/blobs?count&limit=1")[1]["total"] == before


NAMES = (
    "../../../evil",
    "/etc/cron.d/evil",
    "..\\..\\evil",
    "evil\x00.txt",
    "....//evil",
    "%2e%2e%2fevil",
    "~/evil",
    "/evil",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_a_path_leads_to_no_file(target: Target, name: str) -> None:
    """A name is what people call a blob; on disk it is called by its hash."""
    heard = post_form(target, form(AUTOMETA, file_part(name)))
    assert heard.status == 201 or (400 <= heard.status < 500 and heard.code.startswith("FF")), heard.raw[:500]
    value = json.dumps({"name": name, "path": "../../x", "filename": "../evil"})
    metadata = f'Content-Disposition: form-data; name="metadata"\r\n\r\n{value}'.encode()
    heard = post_form(target, form(metadata, file_part("a")))
    assert heard.status == 201 or (400 <= heard.status < 500 and heard.code.startswith("FF")), heard.raw[:500]
    assert not [path for path in target.node.folder.rglob("*") if "evil" in path.name]
