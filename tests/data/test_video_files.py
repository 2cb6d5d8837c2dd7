"""Reading video files: every frame that comes out says its own number."""

import io
import random
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clips import number_of, numbered, turn, write_clip, write_sound

from latentvlm.data.decoding import process
from latentvlm.data.frame_choice import FrameChoice
from latentvlm.data.media import video_file
from latentvlm.data.media.clip import Clip, VideoLimits
from latentvlm.data.media.frame_source import FrameNeeds
from latentvlm.data.media.video import moves, read_video
from latentvlm.errors import ConfigError, InputError, MediaError

SIX = FrameChoice(count=6)


def read(path, choice: FrameChoice = SIX, **options) -> Clip:
    return read_video(path, needs=FrameNeeds(choice=choice), **options)


def numbers(clip: Clip) -> list[int]:
    return [number_of(frame) for frame in clip.frames]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """60 frames at 30 frames a second, with its index at the front."""
    return write_clip(folder / "plain.mp4", container_options={"movflags": "faststart"})


CONTAINERS = [
    ("b.mkv", {}),
    ("b.webm", {"codec": "libvpx-vp9"}),
    ("b.avi", {"codec": "mpeg4"}),
    ("b.ts", {}),  # decord gives frames some way on, and PyAV seeks too far
    ("b.mpg", {"codec": "mpeg2video"}),
    ("b.wmv", {"codec": "wmv2"}),
    ("b.flv", {"codec": "flv1"}),
    ("open.mp4", {"options": {"x264-params": "open-gop=1:bframes=3:scenecut=0:keyint=12"}}),
    ("all-keys.mp4", {"gop": 1}),
    ("one-key.mp4", {"gop": 600, "options": {"x264-params": "scenecut=0"}}),
]


@pytest.mark.parametrize(("name", "how"), CONTAINERS, ids=[name for name, _ in CONTAINERS])
def test_the_frames_are_those_asked_for(folder: Path, name: str, how: dict):
    clip = read(write_clip(folder / name, **how))
    assert list(clip.report.indices) == numbers(clip) == [0, 11, 23, 35, 47, 59]
    assert clip.timestamps == pytest.approx([n / 30 for n in numbers(clip)], abs=1e-3)
    assert clip.report.num_frames == 60 and clip.report.duration_s == pytest.approx(2, abs=0.01)
    assert all(frame.shape == (64, 96, 3) for frame in clip.frames)
    assert clip.report.notes == ()


def test_both_decoders_give_the_same(plain: Path, monkeypatch):
    by_decord = read(plain)
    if by_decord.report.backend != "decord":
        pytest.skip("decord has no wheel for this machine")
    monkeypatch.setattr(video_file.importlib.util, "find_spec", lambda name: None)
    by_pyav = read(plain)
    assert by_pyav.report.backend == "pyav" and by_pyav.report.notes == ()
    assert by_pyav.report.indices == by_decord.report.indices
    for one, other in zip(by_decord.frames, by_pyav.frames, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 3


def test_a_file_that_decord_gets_wrong_goes_to_pyav(folder: Path):
    """Open groups of pictures: decord's frames are some way on, and it does not know."""
    path = folder / "open.mp4"
    clip = read(path if path.exists() else write_clip(path, **dict(CONTAINERS)["open.mp4"]))
    assert clip.report.backend == "pyav" and numbers(clip) == list(clip.report.indices)
    assert not clip.report.notes


def test_a_sparse_choice_decodes_little(folder: Path):
    path = write_clip(folder / "sparse.mp4", [numbered(n % 256) for n in range(600)], gop=20)
    clip = read(path, FrameChoice(count=3))
    assert numbers(clip) == [n % 256 for n in clip.report.indices] == [0, 299 % 256, 599 % 256]
    assert clip.report.num_decoded < 120
    everything = read(path, FrameChoice())
    assert len(everything.frames) == 600 and everything.report.num_decoded < 650


def test_memory_follows_the_chosen_frames(folder: Path, monkeypatch):
    """Frames of 16 times the length come and go in the same memory, scaled as they are decoded."""
    monkeypatch.setattr(process, "_idle", [])  # a process of this test's own, whose peak is told
    needs = FrameNeeds(choice=FrameChoice(count=4), size=lambda height, width: (32, 48))
    options = {"preset": "ultrafast"}
    peaks = []
    for num_frames in (8, 128):
        frames = [numbered(n, (480, 640)) for n in range(num_frames)]
        clip = read_video(
            write_clip(folder / f"{num_frames}.mp4", frames, options=options), needs=needs
        )
        assert numbers(clip) == list(clip.report.indices) and len(clip.frames) == 4
        assert all(frame.shape == (32, 48, 3) for frame in clip.frames)
        assert clip.report.size == (480, 640)
        peaks.append(clip.decoder_peak_bytes)
        process._end_all()
    if peaks[0]:  # 120 more frames of 900 kB are 110 MB
        assert peaks[1] - peaks[0] < 50e6


def test_a_4k_frame_is_scaled_before_it_is_kept(folder: Path):
    picture = numbered(5, (2160, 3840))
    path = write_clip(folder / "4k.mp4", [picture, picture], options={"preset": "ultrafast"})
    needs = FrameNeeds(size=lambda height, width: (288, 512))
    clip = read_video(path, needs=needs)
    assert numbers(clip) == [5, 5] and clip.frames[0].shape == (288, 512, 3)
    assert clip.report.size == (2160, 3840)
    with pytest.raises(MediaError, match="3840 x 2160 pixels, more than the 1,000,000 accepted"):
        read_video(path, limits=VideoLimits(max_frame_pixels=1_000_000))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its memory")
def test_a_decoder_is_held_to_its_memory(folder: Path, plain: Path):
    frames = [numbered(5, (2160, 3840))] * 2
    path = write_clip(folder / "greedy.mp4", frames, options={"preset": "ultrafast"})
    # Which allocation fails first is chance: most say so, some end the process.
    words = "needs more memory|crashed its decoder|can be decoded"
    with pytest.raises(MediaError, match=f"greedy.mp4 ({words})"):
        read(path, limits=VideoLimits(max_decoder_bytes=60 * 1024**2))
    assert numbers(read(plain)) == [0, 11, 23, 35, 47, 59]  # the same process, with more again


def test_several_threads_may_read_at_once(plain: Path):
    with ThreadPoolExecutor(3) as pool:
        clips = list(pool.map(lambda count: read(plain, FrameChoice(count=count)), [2, 3, 4, 5]))
    assert [list(clip.report.indices) for clip in clips] == [numbers(clip) for clip in clips]
    assert [len(clip.frames) for clip in clips] == [2, 3, 4, 5]


def test_ten_hours_in_ten_frames(folder: Path):
    path = write_clip(folder / "long.mp4", 10, times_ms=[n * 4_000_000 for n in range(10)])
    clip = read(path, FrameChoice(fps=2, max_frames=128))
    assert list(clip.report.indices) == numbers(clip) == list(range(10))
    assert clip.timestamps == pytest.approx([4000.0 * n for n in range(10)])
    assert clip.report.duration_s == pytest.approx(40_000)
    with pytest.raises(MediaError, match="lasts 36,000 seconds, more than the 3,600"):
        read(path, limits=VideoLimits(max_duration_s=3600))


def test_frames_at_uneven_times_are_chosen_by_time(folder: Path):
    times = [3 * n * n for n in range(60)]
    clip = read(write_clip(folder / "uneven.mp4", times_ms=times), FrameChoice(count=5))
    wanted = np.linspace(0, times[-1], 5)
    assert numbers(clip) == [max(n for n in range(60) if times[n] <= each) for each in wanted]
    assert clip.timestamps == pytest.approx([times[n] / 1000 for n in numbers(clip)], abs=1e-3)


def test_a_stream_without_times_is_counted_and_says_so(folder: Path):
    clip = read(write_clip(folder / "raw.h264", container="h264"))
    assert numbers(clip) == [0, 11, 23, 35, 47, 59] == list(clip.report.indices)
    assert clip.report.backend == "pyav"
    assert "it has no times, so it is taken to run at 30" in clip.report.notes[0]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turned_videos_stand_upright(folder: Path, quarters: int):
    path = turn(write_clip(folder / f"turned-{quarters}.mp4"), quarters)
    clip = read(path)
    back = [np.rot90(frame, quarters) for frame in clip.frames]  # the tag turns clockwise
    assert [number_of(frame) for frame in back] == [0, 11, 23, 35, 47, 59]
    assert clip.report.size == ((96, 64) if quarters % 2 else (64, 96))


def test_one_frame_and_bytes(folder: Path, plain: Path):
    clip = read(write_clip(folder / "one.mp4", 1))
    assert (numbers(clip), clip.timestamps, clip.report.duration_s) == ([0], (0.0,), 0.0)
    given = read(plain.read_bytes())
    assert numbers(given) == numbers(read(plain)) and given.report.source == "bytes"


@pytest.mark.parametrize("tail", ["missing", "zeros", "noise"])
def test_a_damaged_end_is_left_out_and_said(folder: Path, tail: str):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (64, 96, 3), dtype=np.uint8) // 8 for _ in range(60)]
    frames = [picture + numbered(n) // 8 * 7 for n, picture in enumerate(noise)]
    whole = write_clip(
        folder / "whole.mp4", frames, container_options={"movflags": "faststart"}
    ).read_bytes()
    cut = len(whole) * 6 // 10
    generator = random.Random(0)
    end = {
        "missing": b"",
        "zeros": bytes(len(whole) - cut),
        "noise": bytes(generator.randrange(256) for _ in range(len(whole) - cut)),
    }[tail]
    path = folder / f"{tail}.mp4"
    path.write_bytes(whole[:cut] + end)
    clip = read(path)
    # what is readable is covered as evenly as a whole video would be
    assert numbers(clip) == list(clip.report.indices) and len(clip.frames) == 6
    assert 20 < clip.report.indices[-1] < 50
    steps = np.diff(clip.report.indices)
    assert steps.max() - steps.min() <= 1
    assert any("nothing of it can be decoded after" in note for note in clip.report.notes)


@pytest.mark.parametrize(
    ("name", "where", "words"),
    [
        ("holes.mp4", (0.45, 0.55), "damaged packets were passed over"),
        ("specks.mp4", (), "frames? stands? on damaged data"),  # decord covers them up
        ("hole.mkv", (0.45, 0.55), "frames may be missing"),  # nor are they in its list of frames
        ("head.mp4", (0.0, 0.4), "cannot be decoded"),
    ],
)
def test_damage_within_is_said(folder: Path, name: str, where: tuple[float, ...], words: str):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (64, 96, 3), dtype=np.uint8) // 2 for _ in range(60)]
    path = write_clip(folder / name, frames)
    assert read(path).report.notes == ()
    data = bytearray(path.read_bytes())
    body = (data.find(b"mdat"), data.rfind(b"moov")) if b"mdat" in data else (0, len(data))
    if where:
        first, last = (int(body[0] + 4 + share * (body[1] - body[0])) for share in where)
        data[first:last] = bytes(last - first)
    for place in () if where else rng.integers(body[0] + 2000, body[1], 30):
        data[place] ^= 0x55
    path.write_bytes(data)
    clip = read(path)
    assert clip.frames and any(re.search(words, note) for note in clip.report.notes)


def test_what_holds_no_video(folder: Path, tmp_path: Path):
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(write_clip(tmp_path / "late.mp4").read_bytes()[:1500])
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"\0\0\0\x20ftypisom" + bytes(5000))
    picture = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(picture)
    for path, words in [
        (write_sound(tmp_path / "sound.m4a"), "sound.m4a holds sound but no video"),
        (write_clip(tmp_path / "none.mp4", 0), "none.mp4 holds no video"),
        (write_clip(tmp_path / "none.mkv", 0), "none.mkv cannot be read as a video"),
        (headless, "headless.mp4 cannot be read as a video"),
        (junk, "junk.mp4 cannot be read as a video"),
        (tmp_path / "nowhere.mp4", "no file"),
        ("http://example.com/a.mp4", "is an address"),
        (picture, "a PNG of one picture and no video"),
        (b"", "0 bytes"),
        ([], "A list is not a video"),
        (3, "A int is not a video"),
    ]:
        with pytest.raises(MediaError, match=words):
            read(path)
    with pytest.raises(MediaError, match="has its own times"):
        read(folder / "plain.mp4", fps=2)


def test_limits(plain: Path):
    for limits, words in [
        (VideoLimits(max_bytes=100), "more than the 100 accepted"),
        (VideoLimits(max_frames=5), "6 frames of .* are more than the 5"),
        (VideoLimits(max_total_pixels=30_000), "36,864 pixels together, more than the 30,000"),
    ]:
        with pytest.raises(MediaError, match=words):
            read(plain, limits=limits)
    with pytest.raises(ConfigError, match=r"VideoLimits.stall_s is 0"):
        VideoLimits(stall_s=0)
    with pytest.raises(InputError, match="needs a model that counts tokens"):
        read(plain, FrameChoice(token_budget=1000))


def fake_decord(folder: Path, body: str) -> None:
    """A package named decord whose reader does something else."""
    (folder / "decord").mkdir()
    (folder / "decord" / "__init__.py").write_text(
        f"import os, time\nclass logging:\n    ERROR = 0\n    set_level = staticmethod(print)\n"
        f"class VideoReader:\n    def __init__(self, *a, **k):\n        {body}\n"
    )


@pytest.mark.parametrize(
    ("body", "words"), [("time.sleep(99)", "decord got stuck"), ("os._exit(1)", "decord crashed")]
)
def test_a_stuck_or_crashing_decord_is_killed_and_pyav_decodes(
    plain: Path, tmp_path: Path, monkeypatch, body: str, words: str
):
    fake_decord(tmp_path, body)
    monkeypatch.syspath_prepend(str(tmp_path))
    begin = time.monotonic()
    clip = read(plain, limits=VideoLimits(stall_s=1.0))
    assert numbers(clip) == [0, 11, 23, 35, 47, 59] and clip.report.backend == "pyav"
    assert clip.report.fallbacks == (words,) and clip.report.notes == ()
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("time.sleep(99)", "got its decoder stuck, which was killed"),
        ("sys.stdin.buffer.read(9); raise SystemExit", "crashed its decoder"),
    ],
)
def test_a_decoder_that_never_answers_is_killed(plain: Path, monkeypatch, code: str, words: str):
    hello = "import sys, time; m = b'{\"hello\": 1}'; o = sys.stdout.buffer; "
    hello += "o.write(bytes([0, 0, 0, len(m), 0, 0, 0, 0]) + m); o.flush(); "
    monkeypatch.setattr(process, "_CODE", hello + code)
    monkeypatch.setattr(process, "_idle", [])
    started = []
    start = process.subprocess.Popen

    def note(*args, **kwargs):
        started.append(start(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(process.subprocess, "Popen", note)
    with pytest.raises(MediaError, match=words):
        read(plain, limits=VideoLimits(stall_s=0.5))
    assert len(started) == 1 and started[0].poll() is not None  # dead, and waited for
    assert process._idle == []


def test_a_process_is_used_again(plain: Path, monkeypatch):
    monkeypatch.setattr(process, "_idle", [])
    read(plain)
    (kept,) = process._idle
    read(plain)
    assert process._idle == [kept]
    process._end_all()


def test_scenes_are_never_missed(folder: Path):
    rng = np.random.default_rng(0)
    lengths = [30, 6, 50, 8, 40, 5, 61]
    scenes = [rng.integers(0, 255, (4, 6, 3), dtype=np.uint8) for _ in lengths]
    frames = [
        scene.repeat(16, 0).repeat(16, 1)
        for scene, length in zip(scenes, lengths, strict=True)
        for _ in range(length)
    ]
    path = write_clip(folder / "scenes.mp4", frames)
    begins = np.cumsum([0, *lengths[:-1]])
    clip = read(path, FrameChoice(way="scene", fps=2, max_frames=8))
    assert clip.report.scenes == pytest.approx(begins / 30, abs=0.13)
    where = np.searchsorted(begins, clip.report.indices, side="right") - 1
    assert set(where.tolist()) == set(range(7)) and len(clip.frames) == 8
    evenly = np.searchsorted(begins, read(path, FrameChoice(count=8)).report.indices, side="right")
    assert len(set(evenly.tolist())) < 7  # which is what thumbnails are for
    few = read(path, FrameChoice(way="scene", max_frames=4))
    assert len(few.frames) == 4 and "7 scenes but only 4 frames" in few.report.notes[0]


def animation(kind: str, **options) -> bytes:
    """Five numbered frames, shown for 100, 200, ... milliseconds."""
    pictures = [Image.fromarray(numbered(n)) for n in range(5)]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, kind, save_all=True, append_images=pictures[1:],
        duration=[100, 200, 300, 400, 500], **options,
    )  # fmt: skip
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [animation("GIF"), animation("WEBP", lossless=True), animation("PNG")],
    ids=["gif", "webp", "apng"],
)
def test_animations_are_videos(data: bytes, tmp_path: Path):
    clip = read(data, FrameChoice())
    assert numbers(clip) == [0, 1, 2, 3, 4]
    assert clip.timestamps == pytest.approx([0, 0.1, 0.3, 0.6, 1.0])
    assert clip.report.backend == "pillow" and moves(data)
    path = tmp_path / "moving"
    path.write_bytes(data)
    assert moves(path) and numbers(read(path, FrameChoice(count=2))) == [0, 4]
    if data[:4] == b"RIFF":  # its decoder takes all or nothing
        with pytest.raises(MediaError, match=r"bytes \(WEBP\) is damaged"):
            read(data[:-40])
    else:
        cut = read(data[:-40], FrameChoice())
        assert cut.frames and cut.report.notes
    with pytest.raises(MediaError, match="96 x 64 pixels, more than"):
        read(data, limits=VideoLimits(max_frame_pixels=100))


def test_pictures_are_videos(tmp_path: Path):
    for n in [0, 1, 2, 9, 10, 11]:
        Image.fromarray(numbered(n)).save(tmp_path / f"frame{n}.png")
    (tmp_path / "notes.md").write_text("not a picture")
    clip = read(tmp_path, FrameChoice(count=3))
    assert numbers(clip) == [0, 2, 11] and clip.report.num_decoded == 3
    assert clip.timestamps == (0.0, 2.0, 5.0) and "a second apart" in clip.report.notes[0]
    assert read(tmp_path, FrameChoice(), fps=2).timestamps == (0, 0.5, 1, 1.5, 2, 2.5)
    (tmp_path / "timestamps.txt").write_text("3\n4\n5\n20\n21\n22\n")
    timed = read(tmp_path, FrameChoice(count=3))
    assert numbers(timed) == [0, 2, 11] and timed.timestamps == (3, 5, 22)
    assert timed.report.notes == () and moves(tmp_path)
    listed = read([tmp_path / "frame2.png", numbered(7)], FrameChoice(), timestamps=[1.0, 2.5])
    assert numbers(listed) == [2, 7] and listed.timestamps == (1.0, 2.5)
    (tmp_path / "timestamps.txt").write_text("3\n4\n")
    with pytest.raises(MediaError, match="6 pictures but there are 2 times"):
        read(tmp_path)
    (tmp_path / "timestamps.txt").write_text("3\nfour\n")
    with pytest.raises(MediaError, match="one number of seconds a line"):
        read(tmp_path)
    with pytest.raises(MediaError, match="Frame 2 of the frames given is 8 x 8 pixels"):
        read([numbered(1), np.zeros((8, 8, 3), np.uint8)], FrameChoice())
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="holds no pictures"):
        read(tmp_path / "empty")


def test_what_moves(plain: Path, tmp_path: Path):
    still = io.BytesIO()
    Image.new("RGB", (8, 8)).save(still, "GIF")
    assert moves(plain) and moves(str(plain)) and moves(plain.read_bytes())
    for source in [still.getvalue(), tmp_path / "nowhere", "a\0b", numbered(3), b"GIF89a", 5]:
        assert not moves(source)
