"""The multipart forms of firefly-dataexchange-https (FireFly reference 6.6), written and read piece by piece."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from ffd.model.errors import Full, Invalid

FIELDS_MAX = 8
FIELD_BYTES_MAX = 4096
MESSAGE, BLOB = "message", "blob"
SENDER, RECIPIENT = "senderDestination", "recipientDestination"

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def content_type(boundary: str) -> str:
    """The header of a form."""
    return f"multipart/form-data; boundary={boundary}"


def frame(fields: Mapping[str, str], last: str, boundary: str) -> tuple[bytes, bytes]:
    """What comes before and behind the content of the last part of a form: `message`, or `blob`, which is a file.

    `boundary` ends a part: it must not be guessed by whoever made the content.
    """
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = '; filename="blob"\r\nContent-Type: application/octet-stream' if last == BLOB else ""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{last}"{file}\r\n\r\n'
    return "".join([*parts, head]).encode(), f"\r\n--{boundary}--\r\n".encode()


@dataclass
class Form:
    """A form that comes in: its small `fields`, and the `last` part, whose content is handed out as it comes."""

    boundary: bytes
    last: str
    fields: dict[str, str] = field(default_factory=dict)
    begun: bool = False
    ended: bool = False

    def __post_init__(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._field: str | None = None
        self._taken = bytearray()
        self._content: list[bytes] = []
        try:
            self._parser = MultipartParser(
                self.boundary,
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

    @classmethod
    def of(cls, content_type: str, last: str) -> Form:
        """Raises Invalid FFD4416 when the content type is not that of a form."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            _refuse("its Content-Type has no boundary")
        return cls(boundary, last)

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece; the content of the last part that is in it. Raises Invalid FFD4416, Full."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            _refuse(str(error))
        content = b"".join(self._content) if len(self._content) != 1 else self._content[0]
        self._content.clear()
        return content

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._name) + len(self._value) > FIELD_BYTES_MAX:
            _refuse("a part has too long a header")

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""
        if len(self._headers) > FIELDS_MAX:
            _refuse("a part has too many headers")

    def _on_part(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._headers = {}
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if disposition != b"form-data" or not name or self.begun or len(self.fields) >= FIELDS_MAX:
            _refuse(f"its parts are to be {SENDER}, {RECIPIENT} and {self.last}, in this order")
        if name == self.last:
            self.begun = True
        else:
            self._field = name

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._content.append(data[start:end])
            return
        if len(self._taken) + end - start > FIELD_BYTES_MAX:
            raise Full("FFD4417", f"field {self._field[:80]!r} is larger than {FIELD_BYTES_MAX} bytes: send less")
        self._taken += data[start:end]

    def _on_part_end(self) -> None:
        if self._field is not None:
            self.fields[self._field] = self._taken.decode("utf-8", "replace")
            self._field = None
            self._taken.clear()

    def _on_end(self) -> None:
        self.ended = True


def _refuse(why: str) -> NoReturn:
    raise Invalid("FFD4416", f"the form cannot be read: {why}")
