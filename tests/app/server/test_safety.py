"""What a stranger can do to the server, line by line: nothing."""

import contextlib
import json
import pickle
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import openai
import pytest
import uvicorn
from support.openai_requests import create, data_url, image, page, png, post, user
from support.pdf_files import page_pdf

from latentvlm.app.server import fetch as fetch_module
from latentvlm.app.server.config import ServerConfig
from latentvlm.app.server.errors import RequestError
from latentvlm.app.server.fetch import fetch, is_public
from latentvlm.app.server.run import run_server
from latentvlm.vlm.vlm import VLM


def half_a_request(url: str) -> socket.socket:
    """A connection whose body never comes to its end."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n{"
    connection.sendall(head.encode())
    return connection


def test_it_is_bound_to_loopback_unless_told_otherwise() -> None:
    assert ServerConfig().host == "127.0.0.1"
    assert not ServerConfig().allow_urls and not ServerConfig().folders


def test_a_connection_is_kept_for_longer_than_clients_keep_it(
    small_vlm: VLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a request may meet a server that hangs up."""
    seen: list[uvicorn.Config] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, **_: seen.append(self.config))
    run_server(small_vlm, ServerConfig(port=0), max_batch=1, max_waiting=1)
    assert (httpx.Limits().keepalive_expiry or 0) < seen[0].timeout_keep_alive / 2


def test_a_body_that_does_not_come_has_its_time(serve: Callable) -> None:
    with serve(ServerConfig(request_s=0.3)) as server, half_a_request(server.url) as connection:
        answer = connection.recv(4096)
        while b"more than 0.3 seconds" not in answer:
            more = connection.recv(4096)
            assert more, answer
            answer += more
        assert answer.startswith(b"HTTP/1.1 408")


def test_a_client_that_leaves_while_it_sends_is_no_failure(serve: Callable) -> None:
    with serve() as server:
        half_a_request(server.url).close()
        while True:
            with urllib.request.urlopen(server.url + "/metrics") as answer:
                told = answer.read().decode()
            if 'endpoint="chat"' in told:
                break
        assert 'status="499"' in told and 'status="500"' not in told


def test_requests_that_come_in_have_a_bound_too(serve: Callable) -> None:
    with serve(max_batch=1, max_waiting=1) as server, contextlib.ExitStack() as held:
        for _ in range(2):
            held.enter_context(half_a_request(server.url))
        client = server.client()
        while True:  # until both are seen to come in
            try:
                assert create(client, user("Who?"), max_tokens=1).choices
            except openai.RateLimitError as error:
                assert "2 requests come in already" in str(error)
                assert error.response.headers["retry-after"] == "1"
                break
        held.close()
        while True:
            with contextlib.suppress(openai.RateLimitError):
                assert create(client, user("Who?"), max_tokens=1).choices
                break


def test_a_large_body_is_refused_so_that_its_sender_reads_why(serve: Callable) -> None:
    with serve(ServerConfig(max_body_bytes=2**20)) as server:
        status, answer = post(server, "/v1/chat/completions", b" " * 3 * 2**20)
        assert status == 413 and "more than 1,048,576 bytes" in answer["error"]["message"]


def test_files_of_a_request_are_counted_together(serve: Callable) -> None:
    picture = image(png(page()))
    pdf = {"type": "file", "file": {"file_data": data_url(page_pdf((40, 40), (40, 40)))}}
    config = ServerConfig(max_pages=3, max_pixels=4000)
    with serve(config) as server:
        client = server.client()
        assert create(client, user("Who?", picture, pdf)).choices
        with pytest.raises(openai.BadRequestError, match="more than 3 pages"):
            create(client, user("Who?", pdf, pdf))
    with serve(ServerConfig(max_pixels=3900)) as server:
        client = server.client()
        assert create(client, user("Who?", *[picture] * 5)).choices
        with pytest.raises(openai.BadRequestError, match="more than 19,500 pixels together"):
            create(client, user("Who?", *[picture] * 6))


def test_files_named_by_a_request_count_as_its_bytes(serve: Callable, tmp_path: Path) -> None:
    data = png(page())
    (tmp_path / "a.png").write_bytes(data)
    shown = {"type": "image_url", "image_url": {"url": f"file://{tmp_path}/a.png"}}
    with serve(ServerConfig(folders=(tmp_path,), max_body_bytes=3 * len(data) - 1)) as server:
        client = server.client()
        assert create(client, user("Who?", shown, shown)).choices
        with pytest.raises(openai.APIStatusError, match="bytes together") as caught:
            create(client, user("Who?", shown, shown, shown))
        assert caught.value.status_code == 413


class Dangerous:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(server, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    data = pickle.dumps(Dangerous(proof))
    for part in (image(data), {"type": "file", "file": {"file_data": data_url(data)}}):
        with pytest.raises(openai.BadRequestError):
            create(server.client(), user("Who?", part))
    pickle.loads(data)
    assert proof.exists(), "so the file would have told"


def test_a_wrong_key_learns_how_to_ask(serve: Callable) -> None:
    with serve(ServerConfig(api_keys=("secret",))) as server:
        for given in ({}, {"Authorization": "Basic secret"}, {"Authorization": "Bearer "}):
            status, answer = post(server, "/v1/chat/completions", b"{}", **given)
            assert status == 401 and answer["error"]["type"] == "authentication_error"
        status, _ = post(server, "/v1/chat/completions", b"{}", Authorization="Bearer secret")
        assert status == 400
        with pytest.raises(openai.AuthenticationError) as caught:
            create(server.client(api_key="wrong"), user("Who?"))
        assert caught.value.response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "address",
    ["64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1", "::ffff:10.0.0.1",
     "2001:0:a00:1::", "::", "ff02::1", "fec0::1", "198.18.0.1", "255.255.255.255"],
)  # fmt: skip
def test_private_addresses_inside_others(address: str) -> None:
    assert not is_public(address)


@contextmanager
def web(where: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """A web server on loopback that redirects there, or holds a page; and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if where is None else 302)
            if where is not None:
                self.send_header("Location", where)
            self.end_headers()
            self.wfile.write(b"secret")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("http://{inner}/secret", "not a public address"),
        ("//{inner}/secret", "not a public address"),
        ("file:///etc/passwd", "Only http and https"),
        ("ftp://a/b", "Only http and https"),
        ("/again", "redirects more than 3 times"),
        ("http://[::1", "cannot be fetched"),
    ],
)
def test_a_redirect_is_checked_anew(
    monkeypatch: pytest.MonkeyPatch, where: str, message: str
) -> None:
    with web() as (inner, asked_inner), contextlib.ExitStack() as stack:
        inner = inner.removeprefix("http://")
        outer, asked = stack.enter_context(web(where.format(inner=inner)))
        port = int(outer.rsplit(":", 1)[1])
        real = socket.getaddrinfo

        def resolve(host, service=None, *rest, **more):
            """The outer server has an address of its own, which counts as public here."""
            if host != "outer":
                return real(host, service, *rest, **more)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", service))]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        monkeypatch.setattr(
            fetch_module, "is_public", lambda address: address == "127.0.0.2" or is_public(address)
        )
        connect = socket.create_connection
        monkeypatch.setattr(
            socket, "create_connection", lambda to, **more: connect(("127.0.0.1", to[1]), **more)
        )
        with pytest.raises(RequestError, match=message):
            fetch(f"http://outer:{port}/", max_bytes=100)
    assert asked and not asked_inner


def test_a_name_cannot_mean_another_machine_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: looked up once, and connected to what was checked."""
    looked_up: list[str] = []
    connected: list[tuple] = []

    def resolve(host, port, **more):
        looked_up.append(host)
        address = "93.184.216.34" if len(looked_up) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(to, **more):
        connected.append(to)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(RequestError, match="cannot be fetched"):
        fetch("http://rebinds.example/", max_bytes=100)
    assert looked_up == ["rebinds.example"] and connected == [("93.184.216.34", 80)]


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host, port, **more):
        both = ("93.184.216.34", "10.0.0.7")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in both]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(RequestError, match="not a public address"):
        fetch("http://both.example/", max_bytes=100)


def test_addresses_are_fetched_only_where_that_is_allowed(serve: Callable) -> None:
    with web() as (url, asked):
        part = {"type": "image_url", "image_url": {"url": f"{url}/a.png"}}
        for allowed, message in ((False, "fetches no addresses"), (True, "not a public address")):
            refused = pytest.raises(openai.BadRequestError, match=message)
            with serve(ServerConfig(allow_urls=allowed)) as server, refused:
                create(server.client(), user("Who?", part))
        assert not asked


def test_what_failed_inside_is_not_told(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as server:

        def fail(request):
            raise RuntimeError("/home/someone/secret")

        monkeypatch.setattr(server.vlm, "prepare", fail)
        body = json.dumps({"messages": user("Who?")}).encode()
        status, answer = post(server, "/v1/chat/completions", body)
        assert status == 500 and answer["error"]["message"].startswith("The server failed")
        assert "secret" not in json.dumps(answer)
