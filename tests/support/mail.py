"""A mail server on loopback that keeps what it is given: as much of SMTP as a client needs."""

import socketserver
import threading
from contextlib import contextmanager
from email import message_from_bytes, policy


class _Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.say(b"220 mail.example ESMTP")
        for line in self.rfile:
            word = line.strip().upper().split(b" ")[0].split(b":")[0]
            if word == b"DATA":
                self.say(b"354 go on")
                self.server.mails.append(message_from_bytes(self.data(), policy=policy.default))
                self.say(b"250 kept")
            elif word == b"QUIT":
                self.say(b"221 bye")
                return
            elif word == b"MAIL" and self.server.refuses:
                self.say(b"451 try again later")
            else:
                self.say(b"250 mail.example")

    def data(self):
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)

    def say(self, line):
        self.wfile.write(line + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def mail_server():
    """The server; `mails` is what came, `refuses` whether it takes any."""
    with _Server(("127.0.0.1", 0), _Session) as server:
        server.mails, server.refuses = [], False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
