"""Opening checkpoints: how much memory it takes, seen from outside, and what is in it then."""

import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from latentvlm.errors import BackendError, InputError
from latentvlm.eval import load_speed
from latentvlm.eval.load_speed import LoadReport, Opening, measure_load, open_once
from latentvlm.eval.synthetic_checkpoint import synthetic_config, write_synthetic
from latentvlm.vlm.checkpoint import load_model
from latentvlm.vlm.checkpoint.families import family_of
from latentvlm.vlm.checkpoint.shards import ShardReader
from latentvlm.vlm.language_model import LanguageModel

SIZE_GB = 0.12


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "model"
    size = write_synthetic(folder, SIZE_GB)
    assert size == pytest.approx(SIZE_GB * 1e9, rel=0.1)
    return folder


@pytest.mark.parametrize(("dtype", "width"), [("bfloat16", 2), ("float32", 4)])
def test_a_model_is_never_held_twice(checkpoint: Path, dtype: str, width: int) -> None:
    opening = open_once("latentvlm", checkpoint, device="cpu", dtype=dtype)
    parameters = sum(p.numel() for p in load_model(checkpoint).parameters())
    assert opening.model_bytes == pytest.approx(parameters * width, rel=0.01)
    assert opening.peak_bytes <= 1.15 * opening.model_bytes
    # float32 needs memory of its own, which the sampler sees; bfloat16 stays in the file
    assert (opening.peak_bytes > 0.5 * opening.model_bytes) == (dtype == "float32")


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("for_decoding", [False, True])
def test_every_way_gives_the_values_of_the_file(checkpoint: Path, dtype, for_decoding) -> None:
    model = load_model(checkpoint, dtype=dtype, for_decoding=for_decoding)
    assert isinstance(model, LanguageModel)
    family, state = family_of(model.config), model.state_dict()
    with ShardReader(checkpoint) as reader:
        for disk in reader.files:
            place = family.place(disk)
            assert place is not None
            ours = state[place.name] if place.expert is None else state[place.name][place.expert]
            stored = reader.tensor(disk)
            # A_log and D are stored in float32 and narrowed if asked for
            expected = stored if dtype is None else stored.to(ours.dtype)
            assert ours.dtype == expected.dtype
            assert torch.equal(ours, expected), disk


def test_float32_weights_are_laid_out_for_decoding_only_if_asked(checkpoint: Path) -> None:
    plain, laid_out = (
        load_model(checkpoint, dtype=torch.float32, for_decoding=asked) for asked in (False, True)
    )
    for model, is_one_block in ((plain, False), (laid_out, True)):
        assert isinstance(model, LanguageModel)
        groups = model.weights_read_together()
        blocks = {w.untyped_storage().data_ptr() for weights, _ in groups for w in weights}
        assert (len(blocks) == 1) == is_one_block


def test_stored_as_asked_for_stays_in_the_file(checkpoint: Path) -> None:
    first, second = (load_model(checkpoint).state_dict()["embeddings.weight"] for _ in range(2))
    assert torch.equal(first, second) and first.data_ptr() != second.data_ptr()
    with torch.no_grad():
        first.zero_()  # a private copy of the page, not the file
    again = load_model(checkpoint).state_dict()["embeddings.weight"]
    assert torch.equal(second, again) and bool(again.any())


def test_sizes_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="above 0"):
        write_synthetic(tmp_path / "model", 0)
    with pytest.raises(InputError, match="GB free, but the checkpoint takes"):
        write_synthetic(tmp_path / "model", 900_000)
    assert not (tmp_path / "model").exists()
    pattern = synthetic_config(10).hybrid_override_pattern
    assert pattern.startswith("M*ME") and pattern.count("E") > 20


def test_shards_are_written_one_at_a_time(checkpoint: Path) -> None:
    for path in checkpoint.glob("*.safetensors"):
        with safe_open(str(path), framework="pt") as file:
            assert file.metadata() == {"format": "pt"}


@pytest.mark.slow
def test_opening_takes_less_than_half_of_transformers_time() -> None:
    report = measure_load(0.3, repeats=1)
    assert report.ratio("cpu_seconds") < 0.5
    for side in report.openings:
        assert report.median(side, "model_bytes") == pytest.approx(report.file_bytes, rel=0.01)


def test_a_measurement_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    seen = []

    def end(line: str) -> None:
        if "warm up" in line:
            seen.extend(tmp_path.glob("*/model/*.safetensors"))
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        measure_load(0.01, folder=tmp_path, notify=end)
    assert ended.value.code == 143 and seen and not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.slow
def test_nor_does_it_leave_the_process_that_it_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = []
    watch = load_speed._MemoryWatch

    class Ended(watch):
        def __init__(self, pid: int, device: str) -> None:
            children.append(pid)
            super().__init__(pid, device)

        def start(self) -> None:
            super().start()
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(load_speed, "_MemoryWatch", Ended)
    with pytest.raises(SystemExit):
        measure_load(0.01, folder=tmp_path)
    assert not list(tmp_path.iterdir()) and not Path(f"/proc/{children[0]}").exists()


@pytest.mark.slow
def test_a_side_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="cannot open the folder: .*no config.json"):
        open_once("latentvlm", tmp_path, device="cpu", dtype="bfloat16")


def test_ratios() -> None:
    def opening(seconds: float) -> Opening:
        return Opening(seconds=seconds, cpu_seconds=seconds, model_bytes=100, peak_bytes=80)

    report = LoadReport(
        file_bytes=100,
        device="cpu",
        dtype="bfloat16",
        openings={
            "latentvlm": [opening(1), opening(9), opening(2)],
            "transformers": [opening(8), opening(4)],
        },
    )
    values = report.as_values()
    assert values["seconds_ratio"] == pytest.approx(2 / 6)
    assert values["peak_over_model"] == pytest.approx(0.8)
