"""A file that names other files or addresses makes nobody open them, whatever it is called."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from av.error import FFmpegError
from support.clips import write_clip

from latentvlm.data.decoding.container import is_plain_text, open_container
from latentvlm.data.decoding.index import UnreadableError
from latentvlm.data.media.formats import is_video
from latentvlm.data.media.video import read_video
from latentvlm.errors import MediaError


class Listener:
    """Counts who calls, and hangs up."""

    def __init__(self, listening: socket.socket) -> None:
        self.port: int = listening.getsockname()[1]
        self.num_calls = 0
        self._listening = listening

    def listen(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            self.num_calls += 1
            caller.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found = Listener(listening)
        thread = threading.Thread(target=found.listen)
        thread.start()
        yield found
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def playlists(port: int, clip: Path) -> dict[str, bytes]:
    """Each asks for an address of ours or for the clip beside it; the last ones begin as videos."""
    there = f"http://127.0.0.1:{port}/a.ts"
    session = f"v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    mpd = (
        '<MPD profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" type="static"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{there}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{0}\n#EXT-X-ENDLIST\n"
    return {
        "hls": hls.format(there).encode(),
        "hls of a file": hls.format(f"file://{clip}").encode(),
        "concat": f"ffconcat version 1.0\nfile {clip.name}\n".encode(),
        "concat of an address": f"ffconcat version 1.0\nfile {there}\n".encode(),
        "dash": mpd.encode(),
        "session": session.encode(),
        "session as avi": b"12345678AVI \n" + session.encode(),
        "session as transport stream": b"G".ljust(187) + b"\nG\n" + session.encode(),
        "dash as mp4": b"<!--free-->" + mpd.encode(),
    }


def test_no_playlist_is_followed(tmp_path: Path, listener: Listener) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 4)
    for name, data in playlists(listener.port, clip).items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(data)
        for source in (path, data):
            with pytest.raises(MediaError):
                read_video(source)
        with pytest.raises((UnreadableError, FFmpegError)):
            open_container(str(path))
        assert is_plain_text(str(path)), name
    with socket.create_connection(("127.0.0.1", listener.port)) as ours:
        assert ours.recv(1) == b""
    assert listener.num_calls == 1, "nobody called but we"
    assert not is_plain_text(str(clip))


def test_without_our_options_they_would_be(tmp_path: Path, listener: Listener) -> None:
    """What the test above rests on: these files are such that FFmpeg follows them."""
    clip = write_clip(tmp_path / "clip.mp4", 4)
    files = playlists(listener.port, clip)
    path = tmp_path / "a.mp4"
    path.write_bytes(files["concat"])
    with av.open(str(path)) as container:
        assert container.format.name == "concat" and container.streams.video
    path.write_bytes(files["concat of an address"])
    options = {"safe": "0", "protocol_whitelist": "file,http,tcp"}
    with pytest.raises(FFmpegError):
        av.open(str(path), options=options)
    assert listener.num_calls > 0
    path.write_bytes(files["session as transport stream"])
    assert is_video(path.read_bytes())
    with pytest.raises(UnreadableError, match="a playlist is not followed"):
        open_container(str(path))


def test_a_name_that_looks_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "clip.mp4", 4).rename(tmp_path / "concat:clip.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read_video("concat:clip.mp4").frames) == 4
