"""What the daemon said before it went is heard."""

import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Request, TextMessage

from ffctl.failure import Failure
from ffctl.interrupts import Interrupts
from ffctl.stream import Stream


class Daemon(threading.Thread):
    """Takes one connection and one frame, says what it was given to say, and is gone."""

    def __init__(self, path: Path, says: list[Event]) -> None:
        super().__init__()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.says = says
        self.start()

    def run(self) -> None:
        with self.listener, self.listener.accept()[0] as end:
            ws = WSConnection(ConnectionType.SERVER)
            heard = False
            while not heard:
                ws.receive_data(end.recv(1 << 16))
                for event in ws.events():
                    if isinstance(event, Request):
                        end.sendall(ws.send(AcceptConnection(extra_headers=[(b"X-FFD", b"0")])))
                    heard = heard or isinstance(event, TextMessage)
            end.sendall(b"".join([ws.send(event) for event in self.says]))


@pytest.mark.parametrize(
    ("goodbye", "told"),
    [
        ([], "FFD6004: the connection to .* was lost"),
        ([CloseConnection(1001, "ffd stops")], "FFD6004: the daemon closed the connection .1001: ffd stops."),
    ],
)
def test_its_last_words_are_heard_by_one_who_speaks_on(tmp_path: Path, goodbye: list[Event], told: str) -> None:
    path = tmp_path / "s"
    daemon = Daemon(path, [TextMessage("first"), TextMessage("second"), *goodbye])
    with Interrupts() as interrupts, closing(Stream(str(path), interrupts)) as stream:
        stream.send("hello")
        daemon.join()
        stream.send("is anybody there?")
        assert stream.full, "nobody takes any more"
        assert stream.wait(10)[0] == ["first", "second"]
        with pytest.raises(Failure, match=told):
            stream.wait(10)
