"""How the controller shows who it is, knows who the server is, and how often it asks again."""

import shutil
import ssl
import subprocess
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest

from support.faults import COMPLETE, fails, fault_server, gives_vector, hangs, says, writes
from support.rollouts import NOW
from wavegate_controller.domain.measurement import Broken, BrokenReason, NoData, NoDataReason, Value
from wavegate_controller.providers import Access, PrometheusProvider

T = NOW.timestamp()
EMPTY = NoData(reason=NoDataReason.EMPTY_RESULT)


@pytest.fixture
def fault():
    with fault_server() as told:
        yield told


@pytest.fixture
def provider(fault):
    provider = PrometheusProvider(fault.url, timeout=2)
    yield provider
    provider.close()


def once(first, then):
    """The first request meets one behaviour, all others the other."""
    turn = count()

    def behave(handler):
        behaviour = first if next(turn) == 0 else then
        behaviour(handler)

    return behave


@pytest.mark.parametrize(
    "passing",
    [writes(b""), fails(503), fails(502), fails(504), says(b"slow down", status=429)],
    ids=["closed", "503", "502", "504", "429"],
)
def test_what_a_moment_may_mend_is_asked_a_second_time(fault, provider, passing):
    fault.behaviour = once(passing, gives_vector([T, "1"]))

    assert provider.query("up", at=NOW) == Value(value=1.0)
    assert len(fault.requests) == 2


@pytest.mark.parametrize(
    "lasting",
    [fails(400, "bad_data"), fails(422), fails(500), says(b"", status=404), says(b"{", status=200)],
    ids=["400", "422", "500", "404", "nonsense"],
)
def test_what_would_be_the_same_again_is_asked_once(fault, provider, lasting):
    fault.behaviour = once(lasting, gives_vector([T, "1"]))

    assert isinstance(provider.query("up", at=NOW), Broken)
    assert len(fault.requests) == 1


def test_a_time_out_is_not_asked_again_there_is_no_time_left(fault):
    fault.behaviour = once(hangs(fault), gives_vector([T, "1"]))
    provider = PrometheusProvider(fault.url, timeout=0.3)

    assert provider.query("up", at=NOW).reason == BrokenReason.TIMEOUT
    assert len(fault.requests) == 1


def test_in_an_outage_only_a_few_questions_are_asked_twice_until_answers_come_again(fault, provider):
    fault.behaviour = fails(503)
    for _ in range(20):
        provider.query("up", at=NOW)
    during = len(fault.requests)
    fault.behaviour = gives_vector()
    for _ in range(10):
        provider.query("up", at=NOW)
    fault.behaviour = once(fails(503), gives_vector())

    assert during == 20 + 3
    assert provider.query("up", at=NOW) == EMPTY


def test_a_kept_connection_that_was_just_closed_is_not_the_first_of_the_two_times(fault, provider):
    fault.behaviour = once(writes(b""), once(fails(503), gives_vector([T, "1"])))

    assert provider.query("up", at=NOW) == Value(value=1.0)
    assert len(fault.requests) == 3


def test_a_server_that_always_hangs_up_is_asked_three_times_at_most(fault, provider):
    fault.behaviour = writes(b"")

    assert provider.query("up", at=NOW).reason == BrokenReason.UNREACHABLE
    assert len(fault.requests) == 3


def test_a_store_that_lags_is_asked_for_what_it_has(fault):
    fault.behaviour = gives_vector([T - 30, "1"])
    provider = PrometheusProvider(fault.url, timeout=2, lag=timedelta(seconds=30))

    assert provider.query("up", at=NOW) == Value(value=1.0)
    assert fault.requests[0][2]["time"] == [f"{T - 30:.3f}"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and a certificate of it for the server and for the client; keys without a pass phrase."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the package openssl to make certificates")
    home = tmp_path_factory.mktemp("certificates")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=home, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    run("req", "-x509", *key, "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "client"):
        extension = ("-addext", "subjectAltName=IP:127.0.0.1")
        run("req", "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", *key, *extension, "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.pem")  # fmt: skip
    return home


@pytest.fixture
def guarded(certificates):
    """A server that speaks TLS, and only with those who have a certificate of the authority."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            says(COMPLETE)(self)

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # handshakes that fail are what some rows are about
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def ask_guarded(url, home, **files):
    provider = PrometheusProvider(
        url, timeout=5, access=Access(**{name: str(home / file) for name, file in files.items()})
    )
    answer = provider.query("up", at=NOW)
    provider.close()
    return answer


def test_mutual_tls_with_an_authority_of_our_own(guarded, certificates, monkeypatch):
    # What the environment names for everything else is not asked.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    files = {"ca_file": "ca.pem", "client_cert": "client.pem", "client_key": "client.key"}

    assert ask_guarded(guarded, certificates, **files) == EMPTY


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"client_cert": "client.pem", "client_key": "client.key"}, "certificate verify failed"),
        ({"ca_file": "ca.pem"}, ""),
    ],
    ids=["of an authority that we do not trust", "that wants to know who we are"],
)
def test_a_server_with_whom_tls_cannot_be_agreed_is_unreachable(guarded, certificates, files, words):
    answer = ask_guarded(guarded, certificates, **files)

    assert isinstance(answer, Broken)
    assert answer.reason == BrokenReason.UNREACHABLE, answer
    assert words in answer.detail
