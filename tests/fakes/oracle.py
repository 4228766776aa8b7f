"""An Oracle behind its listener that knows no right password; real drivers log in to it.

It speaks as an Oracle 19 does up to the answer to a login, which is ORA-01017 each time.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Final, Self

_ACCEPT, _DATA = 2, 6  # packets
_PROTOCOL, _TYPES, _CALL, _ERROR = 1, 2, 3, 4  # what a data packet carries
_VERSION: Final = 315  # of the last listener that offers no faster way to log in
_WITHOUT_ENCRYPTION: Final = 0x0408  # the bit of each of the two drivers
_PACKET: Final = 8192
_UTF8, _UTF16 = 873, 2000
_FIELDS: Final = 12  # of messages, as of Oracle 19
_REFUSED: Final = 1017
_TEXT: Final = b"ORA-01017: invalid username/password; logon denied\n"


class RefusingOracle:
    """Counts logins: a session in which user and password are presented is one."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._guard = threading.Lock()
        self.port = int(self._listener.getsockname()[1])
        self.logins = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _listen(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError, EOFError):
            client.settimeout(30)
            _read_connect(client)
            client.sendall(_acceptance())
            presented = False
            while True:
                kind, body = _read_packet(client, 4)
                if kind != _DATA or len(body) <= 2:
                    continue
                if body[2] == _CALL and not presented:
                    presented = True
                    self._count()
                _send(client, _answer(body[2:]))

    def _count(self) -> None:
        with self._guard:
            self.logins += 1


def _answer(said: bytes) -> bytes:
    if said[0] == _PROTOCOL:
        return _protocol()
    return bytes((_TYPES, 0, 0)) if said[0] == _TYPES else _refusal(said[2])


# --- packets --------------------------------------------------------------------------------


def _read_packet(client: socket.socket, length_bytes: int) -> tuple[int, bytes]:
    head = _exactly(client, 8)
    return head[4], _exactly(client, int.from_bytes(head[:length_bytes], "big") - 8)


def _read_connect(client: socket.socket) -> None:
    """Read whom it wants to talk to, which has a packet of its own where it is long."""
    _, body = _read_packet(client, 2)
    length, offset = struct.unpack(">HH", body[16:20])
    if 8 + len(body) < offset + length:
        _read_packet(client, 2)


def _exactly(client: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = client.recv(count - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def _send(client: socket.socket, body: bytes) -> None:
    client.sendall(struct.pack(">IBBHH", 10 + len(body), _DATA, 0, 0, 0) + body)


def _acceptance() -> bytes:
    options = struct.pack(">HH10xH8xII9x", _VERSION, 0, _WITHOUT_ENCRYPTION, _PACKET, _PACKET)
    return struct.pack(">HHBBH", 8 + len(options), 0, _ACCEPT, 0, 0) + options


# --- what they carry ------------------------------------------------------------------------


def _protocol() -> bytes:
    national = bytes(9) + struct.pack(">H", _UTF16)
    can = bytearray(45)
    can[7], can[15], can[27] = _FIELDS, 1, 1  # a call's end has a status; types are two bytes
    return (
        bytes((_PROTOCOL, 6, 0))
        + b"x86_64/Linux 2.4.xx\0"
        + struct.pack("<HBH", _UTF8, 1, 0)
        + struct.pack(">H", len(national))
        + national
        + bytes((len(can),))
        + can
        + bytes((11,))
        + bytes(11)
    )


def _refusal(call: int) -> bytes:
    """Say why the call of this number failed; most fields are zero, each in one byte."""
    code = b"\x02" + struct.pack(">H", _REFUSED)
    return (
        bytes((_ERROR,))
        + bytes(3)
        + code
        + bytes(4 + 6 + 5 + 1)  # array and cursor, flags, row, system
        + bytes((0, call))
        + bytes(3 + 3)
        + code
        + bytes((0, len(_TEXT)))
        + _TEXT
    )
