"""A multipart form, cut at every byte; and what forms may not be."""

import pytest

from ffd.api.form import FIELDS_BYTES_MAX, FIELDS_MAX, FilePart, Form
from ffd.model.errors import FfdError

BOUNDARY = "----a-b"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
CONTENT = b"\r\n--tea\r\n------a-\r\n------a-c\r\n\x00\xff--"


def form_of(*parts: tuple[str, bytes], end: bytes = f"--{BOUNDARY}--\r\n".encode()) -> bytes:
    """A body of parts, each its headers and its content."""
    return b"".join(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + body + b"\r\n" for head, body in parts) + end


def field(name: str, value: str) -> tuple[str, bytes]:
    return f'Content-Disposition: form-data; name="{name}"', value.encode()


def file(content: bytes = CONTENT, filename: str = "tea.bin", *more: str) -> tuple[str, bytes]:
    head = f'Content-Disposition: form-data; name="file"; filename="{filename}"'
    return "\r\n".join([head, "Content-Type: application/x-tea", *more]), content


def read(body: bytes, *cuts: int, kind: str = TYPE) -> tuple[dict[str, str], FilePart, bytes]:
    """The form that comes in pieces, cut at these places."""
    form, content = Form(kind), b""
    for start, end in zip((0, *cuts), (*cuts, len(body)), strict=True):
        content += b"".join(form.feed(body[start:end]))
    return form.fields, form.finish(), content


def code_of(body: bytes, kind: str = TYPE) -> str:
    try:
        read(body, kind=kind)
    except FfdError as refused:
        return refused.code if len(str(refused)) < 500 else f"{refused.code} with a long text"
    return ""


def test_a_form_cut_at_any_byte_is_the_same_form() -> None:
    body = form_of(field("autometa", "true"), field("metadata", '{"a": "\u00e9"}'), file())
    whole = read(body)
    assert whole == (
        {"autometa": "true", "metadata": '{"a": "\u00e9"}'}, FilePart("tea.bin", "application/x-tea"), CONTENT
    )  # fmt: skip
    for cut in range(1, len(body)):
        assert read(body, cut) == whole, cut
    assert read(body, *range(1, len(body))) == whole
    for first in range(1, len(body) - 1, 7):
        assert read(body, first, first + 1) == whole


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r", b"-", b"--", f"--{BOUNDARY}".encode(), b"\r\n" * 1000])
def test_content_that_looks_like_an_end_is_content(content: bytes) -> None:
    body = form_of(file(content))
    for cut in range(1, len(body)):
        assert read(body, cut)[2] == content


def test_what_stands_around_a_form_does_not_matter() -> None:
    body = form_of(file(b"tea"))
    assert read(b"\r\n" + body + b"an epilogue")[2] == b"tea"
    quoted = f'Multipart/Form-Data; charset=utf-8; boundary="{BOUNDARY}"'
    assert read(body, kind=quoted)[2] == b"tea"


NAMES = {
    "plain": ("tea.bin", "tea.bin"),
    "upwards": ("../../../../etc/passwd", "passwd"),
    "absolute": ("/etc/shadow", "shadow"),
    "the folder above": ("..", ".."),
    "nothing": ("", ""),
    "a folder": ("folder/", ""),
    "unicode": ("thé à quatre heures.txt", "thé à quatre heures.txt"),
    "a control character": ("a\x07b", "a\x07b"),
    "quotes": ('a\\"b', 'a"b'),
    "a percent": ("%2e%2e%2fa", "%2e%2e%2fa"),
}


@pytest.mark.parametrize("given, shown", NAMES.values(), ids=NAMES)
def test_a_name_is_a_label(given: str, shown: str) -> None:
    assert read(form_of(file(b"x", given)))[1].filename == shown


def test_a_part_called_file_is_the_file_even_without_a_name() -> None:
    """As the SDK sends a text or a buffer."""
    assert read(form_of(field("autometa", "true"), field("file", "tea")))[1:] == (
        FilePart("", "application/octet-stream"), b"tea"
    )  # fmt: skip


MALFORMED = {
    "nothing": b"",
    "no form": b"tea at four",
    "no part": form_of(),
    "no file": form_of(field("metadata", "x")),
    "no end": form_of(file(), end=b""),
    "half an end": form_of(file(), end=f"--{BOUNDARY}-".encode()),
    "another boundary": form_of(file()).replace(BOUNDARY.encode(), b"----other"),
    "no head": f"--{BOUNDARY}\r\n\r\ntea\r\n--{BOUNDARY}--".encode(),
    "a head that is none": form_of(("tea at four", b"x")),
    "a head without a name": form_of(("Content-Disposition: form-data", b"x")),
    "an attachment": form_of(('Content-Disposition: attachment; name="file"', b"x")),
    "a head that has no end": f"--{BOUNDARY}\r\nContent-Disposition: form-data".encode(),
    "a long header": form_of(file(b"x", "tea.bin", "X-Long: " + "x" * 10_000)),
    "a name of 10 MB": form_of(file(b"x", "x" * 10_000_000)),
    "a header name of 10 MB": form_of(("x" * 10_000_000, b"x")),
    "many headers": form_of(file(b"x", "tea.bin", *[f"X-{n}: x" for n in range(1000)])),
    "a header twice": form_of(file(b"x", "tea.bin", "Content-Type: text/plain")),
    "NUL in a head": form_of(("Content-Disposition\x00: form-data; name=file", b"x")),
    "many fields": form_of(*[field(f"f{n}", "x") for n in range(FIELDS_MAX + 1)], file()),
    "a field twice": form_of(field("metadata", "1"), field("metadata", "2"), file()),
    "base64": form_of(file(b"eA==", "tea.bin", "Content-Transfer-Encoding: base64")),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    assert code_of(body) == "FF00161"


def test_nothing_may_follow_the_file() -> None:
    assert code_of(form_of(file(), field("metadata", "x"))) == "FF00163"
    assert code_of(form_of(file(), file())) == "FF00163"


def test_fields_are_small() -> None:
    assert code_of(form_of(field("metadata", "x" * FIELDS_BYTES_MAX), file())) == ""
    assert code_of(form_of(field("metadata", "x" * FIELDS_BYTES_MAX), field("a", "x"), file())) == "FFD2016"
    assert code_of(form_of(("Content-Disposition: form-data; name=a", b"\xff"), file())) == "FFD2102"


@pytest.mark.parametrize(
    "kind",
    ["", "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 300,
     "multipart/mixed; boundary=x", "application/json"],
)  # fmt: skip
def test_a_content_type_without_a_good_boundary_is_refused(kind: str) -> None:
    assert code_of(form_of(file()), kind) == "FF00161"
