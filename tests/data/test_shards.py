"""Shards: whole or absent, the same bytes every time, and errors that name shard and key."""

import io
import tarfile
from collections.abc import Iterator

import numpy as np
import pytest

from latentvlm.data.producer import ShardFolder, ShardProducer, shard_path
from latentvlm.data.shards import Record, ShardReader, write_shard
from latentvlm.errors import DataError


class Counting:
    """Shard k holds four small pictures that say k."""

    def records(self, shard: int) -> Iterator[Record]:
        for idx in range(4):
            image = np.full((8, 16, 3), shard * 4 + idx, dtype=np.uint8)
            yield Record(key=f"{shard:03d}-{idx}", image=image, meta={"number": shard * 4 + idx})


def test_records_come_back(tmp_path):
    path = tmp_path / "a.tar"
    written = list(Counting().records(3))
    assert write_shard(path, written) == 4
    read = list(ShardReader().read(path))
    assert [offset for offset, _ in read] == [0, 1, 2, 3]
    for before, (_, after) in zip(written, read, strict=True):
        assert after.key == before.key and after.meta == before.meta
        assert (after.image == before.image).all()
    assert [offset for offset, _ in ShardReader().read(path, start=2)] == [2, 3]


def test_bytes_depend_on_the_records_alone(tmp_path):
    for name in "ab":
        write_shard(tmp_path / name, Counting().records(1))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_shard_that_fails_leaves_nothing(tmp_path):
    def failing():
        yield from Counting().records(0)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_shard(tmp_path / "a.tar", failing())
    assert list(tmp_path.iterdir()) == []


def _with_broken_picture(path):
    with tarfile.open(path, "w") as tar:
        for name, content in [("good.json", b"{}"), ("bad.png", b"not a picture")]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_broken_records_are_named_or_counted(tmp_path):
    path = tmp_path / "broken.tar"
    _with_broken_picture(path)
    with pytest.raises(DataError, match=r"record 'good' of shard .*broken\.tar.*no picture"):
        list(ShardReader().read(path))
    reader = ShardReader("skip")
    assert list(reader.read(path)) == []
    assert reader.skipped == 2
    with pytest.warns(UserWarning) as caught:
        list(ShardReader("warn").read(path))
    assert ["'good'" in str(w.message) for w in caught] == [True, False]


def test_a_shard_cut_short_loses_its_tail_only(tmp_path):
    path = tmp_path / "cut.tar"
    write_shard(path, Counting().records(0))
    path.write_bytes(path.read_bytes()[:3000])
    reader = ShardReader("skip")
    assert [record.key for _, record in reader.read(path)] == ["000-0"]
    assert reader.skipped == 1
    with pytest.raises(DataError, match=r"cut\.tar is damaged after record '000-0'"):
        list(ShardReader().read(path))


def test_missing_shard(tmp_path):
    with pytest.raises(DataError, match="gone.tar does not exist"):
        list(ShardReader().read(tmp_path / "gone.tar"))
    with pytest.raises(DataError, match="holds no .tar shard"):
        ShardFolder(tmp_path)


def test_folder_epochs(tmp_path):
    for shard in range(2):
        write_shard(shard_path(tmp_path, shard), Counting().records(shard))
    folder = ShardFolder(tmp_path, epochs=2)
    names = [folder.path(shard) for shard in range(5)]
    assert [p.name if p else None for p in names] == ["000000.tar", "000001.tar"] * 2 + [None]


def test_inline_producer_draws_again(tmp_path):
    producer = ShardProducer(Counting(), tmp_path, workers=0)
    first = producer.path(5).read_bytes()
    producer.release(5)
    assert not shard_path(tmp_path, 5).exists()
    assert producer.path(5).read_bytes() == first


def test_workers_draw_ahead_and_stay_within_bounds(tmp_path):
    with ShardProducer(Counting(), tmp_path / "drawn", workers=2, ahead=2) as producer:
        for shard in range(3, 8):
            _, record = next(ShardReader().read(producer.path(shard)))
            assert record.meta["number"] == 4 * shard
            producer.release(shard)
        assert producer.path(1).exists()  # behind the reader: drawn here
        lying = {int(path.stem) for path in (tmp_path / "drawn").glob("*.tar")}
        assert max(lying) <= 7 + 2


def video_record(key: str) -> Record:
    frames = np.random.default_rng(0).integers(0, 255, (12, 8, 16, 3), dtype=np.uint8)
    times = tuple(idx / 4 for idx in range(12))
    meta = {"qas": [["video_read", "What?", "This."]]}
    return Record(key=key, image=frames[0], meta=meta, frames=frames, timestamps=times)


def test_videos_come_back_beside_pictures(tmp_path):
    path = tmp_path / "a.tar"
    written = [video_record("v"), *list(Counting().records(0))[:1]]
    assert write_shard(path, written) == 2
    (_, video), (_, picture) = ShardReader().read(path)
    assert video.frames is not None and written[0].frames is not None
    assert (video.frames == written[0].frames).all() and (video.image == video.frames[0]).all()
    assert video.timestamps == written[0].timestamps and video.meta == written[0].meta
    assert picture.frames is None and picture.timestamps == ()


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        (b"{}", "no timestamps"),
        (b'{"timestamps": [0]}', "2 frames and 1 timestamps"),
        (b'{"timestamps": [1, 0]}', "2 frames and 2 timestamps; one each, that never fall"),
        (b'{"timestamps": [0, 1]}', "not all of one size"),
    ],
)
def test_videos_that_cannot_be(tmp_path, meta, words):
    from PIL import Image

    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        members = [("v.json", meta)]
        for idx in range(2):
            buffer = io.BytesIO()
            Image.new("RGB", (8, 8 + idx)).save(buffer, "PNG")
            members.append((f"v.{idx:03d}.png", buffer.getvalue()))
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(DataError, match=f"'v'.*{words}"):
        list(ShardReader().read(tmp_path / "a.tar"))
