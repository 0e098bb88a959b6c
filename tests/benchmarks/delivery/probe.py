"""Asks for the ruleset again and again; the slowest answer between `begin` and `end`.

What is asked while the server's loop is stalled waits for it, so that is the longest stall, too, and a little more.
"""

import re
import socket
import sys
import threading
import time

PORT = int(sys.argv[1])
REQUEST = b'GET /sdk/v1/ruleset HTTP/1.1\r\nHost: here\r\nIf-None-Match: "%b"\r\n\r\n'
slowest = 0.0


def connect() -> socket.socket:
    return socket.create_connection(("127.0.0.1", PORT), timeout=10)


def ask(connection: socket.socket, held: bytes) -> bytes:
    """The validator of what is in force."""
    connection.sendall(REQUEST % held)
    answer = b""
    while (end := answer.find(b"\r\n\r\n")) < 0:
        answer += receive(connection)
    length = re.search(rb"content-length: (\d+)", answer[:end])
    while length and len(answer) < end + 4 + int(length[1]):
        answer += receive(connection)
    return re.search(rb'etag: "(\w+)"', answer)[1]


def receive(connection: socket.socket) -> bytes:
    part = connection.recv(65536)
    if not part:
        raise ConnectionResetError
    return part


def ask_for_ever() -> None:
    global slowest  # noqa: PLW0603 # a script
    connection, held = connect(), b""
    while True:
        began = time.monotonic()
        try:
            held = ask(connection, held)
        except OSError:
            # The server is being restarted.
            connection.close()
            connection = connect_again()
            continue
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.002)


def connect_again() -> socket.socket:
    while True:
        time.sleep(0.1)
        try:
            return connect()
        except OSError:
            pass


threading.Thread(target=ask_for_ever, daemon=True).start()
for line in sys.stdin:
    if line.strip() == "begin":
        slowest = 0.0
    else:
        print(slowest, flush=True)
