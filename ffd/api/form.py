"""A multipart form (RFC 7578), cut into its small fields and its one file while it comes in. No I/O."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NoReturn

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from ffd.model.errors import Full, Invalid

FIELDS_MAX = 20
FIELDS_BYTES_MAX = 1024 * 1024
"""Values of all fields together: none is longer than what a message may carry."""
FILE_FIELD = "file"
PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")
MALFORMED, FIELD_AFTER_FILE = "FF00161", "FF00163"

# It says on each form that is refused why; so do we, to whom it concerns.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class FilePart:
    """What a form says of its file. A name is a label: it never names a file here."""

    filename: str
    mimetype: str


class Form:
    """A form that comes in piece by piece. `fields` by name; `file` once its head has come, behind all fields.

    What has a file name is the file, as in FireFly, and what is called `file`, as its SDK sends what has no name.
    """

    def __init__(self, content_type: str) -> None:
        """Raises Invalid FF00161 when the content type is not that of a form, with a boundary."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            _refuse("its Content-Type has no boundary")
        self.fields: dict[str, str] = {}
        self.file: FilePart | None = None
        self._headers: dict[str, str] = {}
        self._name = self._value = b""
        self._field: str | None = None
        self._taken = bytearray()
        self._size = 0
        self._count = 0
        self._content: list[bytes] = []
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_part,
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            _refuse(str(error))

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next piece; the content of the file that is in it. Raises Invalid FF00161, FF00163."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            _refuse(str(error))
        content, self._content = self._content, []
        return content

    def finish(self) -> FilePart:
        """The file, of which all has come. Raises Invalid FF00161 when the form has no end, or no file."""
        if not self._ended:
            _refuse("it ends before its last boundary")
        if self.file is None:
            _refuse("it has no file: send one, as its last part")
        return self.file

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        name, value = self._name.decode("latin-1").lower(), self._value.decode("latin-1").strip(" \t")
        if self._headers.setdefault(name, value) != value:
            _refuse(f"a part has two headers {name[:40]}")
        self._name = self._value = b""

    def _on_part(self) -> None:
        headers, self._headers = self._headers, {}
        disposition, options = parse_options_header(headers.get("content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            _refuse('a part has no header Content-Disposition: form-data; name="…"')
        name = _text(options[b"name"])
        if self.file is not None:
            raise Invalid(FIELD_AFTER_FILE, f"Form field '{name[:80]}' comes after the file: send the file last")
        if headers.get("content-transfer-encoding", "").lower() not in PLAIN_ENCODINGS:
            _refuse("a part has a Content-Transfer-Encoding: send its bytes as they are")
        if b"filename" in options or name == FILE_FIELD:
            filename = _text(options.get(b"filename", b"")).rpartition("/")[2]
            self.file = FilePart(filename, headers.get("content-type", "application/octet-stream"))
        else:
            self._begin_field(name)

    def _begin_field(self, name: str) -> None:
        self._count += 1
        if self._count > FIELDS_MAX:
            _refuse(f"it has more than {FIELDS_MAX} fields")
        if name in self.fields:
            _refuse(f"it has two fields '{name[:80]}'")
        self._field = name

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._content.append(data[start:end])
            return
        self._size += end - start
        if self._size > FIELDS_BYTES_MAX:
            raise Full("FFD2016", f"The fields of the form are larger than {FIELDS_BYTES_MAX} bytes: send less")
        self._taken += data[start:end]

    def _on_part_end(self) -> None:
        if self._field is not None:
            self.fields[self._field] = _value_text(self._field, bytes(self._taken))
            self._field = None
            self._taken.clear()

    def _on_end(self) -> None:
        self._ended = True


def _text(raw: bytes) -> str:
    """A name in UTF-8, which nothing depends on."""
    return raw.decode("utf-8", "replace")


def _value_text(name: str, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Invalid("FFD2102", f"Form field '{name[:80]}' is not UTF-8: {error.reason} at {error.start}") from None


def _refuse(why: str) -> NoReturn:
    raise Invalid(MALFORMED, f"The multipart form cannot be read: {why}")
