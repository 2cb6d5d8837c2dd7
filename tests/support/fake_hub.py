"""A hub on the loopback: enough of the API for huggingface_hub to list and fetch a repository."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40


class FakeHub(ThreadingHTTPServer):
    """Serves folders as repositories.

    Attributes:
        repositories: id -> folder.
        gated: ids that nobody may read.
        fetched: names of the files whose whole content was asked for.
        ranges: names of the files of which a range of bytes was, and how many they got.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.repositories: dict[str, Path] = {}
        self.gated: set[str] = set()
        self.fetched: list[str] = []
        self.ranges: list[tuple[str, int]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        is_api = parts[:2] == ["api", "models"]
        parts = parts[2:] if is_api else parts
        hub_id, rest = "/".join(parts[:2]), parts[2:]
        if hub_id in self.server.gated:
            return self._send(403, b"", {"X-Error-Code": "GatedRepo"})
        folder = self.server.repositories.get(hub_id)
        if folder is None:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        if len(rest) > 1 and rest[1] not in ("main", COMMIT):
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if is_api and rest[:1] == ["tree"]:
            tree = [
                {
                    "type": "file",
                    "path": str(path.relative_to(folder)),
                    "size": path.stat().st_size,
                    "oid": _etag(path),
                }
                for path in files
            ]
            return self._send_json(tree)
        if is_api:
            names = [
                {"rfilename": str(path.relative_to(folder)), "size": path.stat().st_size}
                for path in files
            ]
            return self._send_json({"id": hub_id, "sha": COMMIT, "siblings": names})
        path = folder.joinpath(*rest[2:])
        if not path.is_file():
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        body, asked = path.read_bytes(), self.headers.get("Range")
        etag = {"ETag": f'"{_etag(path)}"'}
        if self.command == "GET" and asked:
            first, last = (int(each) for each in asked.removeprefix("bytes=").split("-"))
            part = body[first : last + 1]
            self.server.ranges.append((path.name, len(part)))
            where = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
            return self._send(206, part, {**etag, "Content-Range": where})
        if self.command == "GET":
            self.server.fetched.append(path.name)
        self._send(200, body, etag)

    def _send_json(self, values: object) -> None:
        self._send(200, json.dumps(values).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "X-Repo-Commit": COMMIT}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()
