"""Training with EVS: rows packed for what is left, and pruned whole once their videos are seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_model import random_model, tiny_config, write_tiny_model
from support.videos import video

from latentvlm.data.loader import Loader
from latentvlm.data.packed_batch import Batch, Example, pack
from latentvlm.data.packing import Packer, RowLimits
from latentvlm.data.processor import Processor
from latentvlm.data.producer import ShardProducer
from latentvlm.data.shards import Record
from latentvlm.errors import ConfigError, DataError
from latentvlm.token_reduction.evs import EVSConfig, EVSRates
from latentvlm.vlm.prompt import embed_prompt
from latentvlm.vlm.train.examples import example_of
from latentvlm.vlm.train.precision import Precision
from latentvlm.vlm.train.recipe import parse_recipe
from latentvlm.vlm.train.stage import Stage
from latentvlm.vlm.train.tasks import AnswersTask, Trainee
from latentvlm.vlm.train.values import build

CONFIG = replace(tiny_config(), video_token_id=400)
RATES = EVSRates(rates=(0.0, 0.5, 0.75, 0.9), floor=0.05)
PICTURE = {"type": "image", "image": np.full((32, 48, 3), 200, dtype=np.uint8)}


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Processor:
    folder = tmp_path_factory.mktemp("evs-training")
    write_tiny_model(folder, config=CONFIG)
    return Processor.from_folder(folder, video_token_id=400, frames_per_tubelet=2)


def stage(**changes) -> Stage:
    rates = {"vision_encoder": 1e-3, "projector": 1e-3, "language_model": 1e-3}
    values = {
        "name": "videos", "task": "answers", "data": [{"config": {"level": "line"}}], "steps": 3,
        "learning_rates": rates, "losses": {"mtp": 0.3}, **changes,
    }  # fmt: skip
    return build(Stage, values, where="stage")


def conversation(*parts) -> list[dict]:
    asked = {"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}
    return [asked, {"role": "assistant", "content": "There are twelve rows"}]


CONVERSATIONS = [
    conversation(video(5, 40, 72, seed=1)),
    conversation(PICTURE, video(3, 64, 32, seed=2), video(4, 48, 48, seed=3)),
    conversation(PICTURE),
    conversation(video(8, 32, 32, seed=4)),
]


def examples(processor: Processor) -> list[Example]:
    return [example_of(processor.encode_conversation(each), patch_size=8) for each in CONVERSATIONS]


def hand_pruned(example: Example, mask: np.ndarray) -> Example:
    return replace(example, input_ids=example.input_ids[mask], labels=example.labels[mask])


def test_what_follows_what_is_found_anew_after_pruning(processor: Processor):
    """The row without its dropped tokens is the row of examples that never had them."""
    parts = examples(processor)
    batch = pack(parts, evs=EVSConfig(rate=0.75))
    draw = np.random.default_rng(0)
    masks, places = [], iter(batch.evs)
    for part in parts:
        mask = np.ones(part.num_tokens, dtype=bool)
        plans = [next(places) for _ in part.video_shapes]
        at = np.flatnonzero(part.input_ids == 400)
        num_dropped = sum(plan.num_tokens - plan.keep for plan in plans)
        assert part.tokens_under(EVSConfig(rate=0.75)) == part.num_tokens - num_dropped
        mask[draw.choice(at, num_dropped, replace=False)] = False
        masks.append(mask)
    pruned = batch.keep(torch.from_numpy(np.concatenate(masks)))
    expected = pack([hand_pruned(p, m) for p, m in zip(parts, masks, strict=True)])
    for key in ("input_ids", "labels", "next_ids", "next_labels", "cu_seqlens", "aligned_labels"):
        assert torch.equal(getattr(pruned, key), getattr(expected, key)), key
    assert pruned.num_tokens == batch.num_tokens < len(batch.input_ids)
    assert torch.equal(pruned.labels[pruned.labels != -100], batch.labels[batch.labels != -100])
    with pytest.raises(DataError, match="was packed for"):
        batch.keep(torch.ones(len(batch.input_ids), dtype=torch.bool))


@torch.no_grad()
@pytest.mark.parametrize("rate", [0.0, 0.5, 0.9])
def test_a_packed_loss_is_that_of_each_alone(processor: Processor, rate: float):
    trainee = Trainee(random_model(CONFIG))
    task = AnswersTask(trainee, stage(), Precision())
    evs = EVSConfig(rate=rate)
    batch = pack(examples(processor), evs=evs)
    loss, parts = task.loss(batch)
    total, count, mtp_total = 0.0, 0, 0.0
    for messages in CONVERSATIONS:
        inputs = processor.encode_conversation(messages, evs=evs)
        embeds, inputs = embed_prompt(trainee.model, inputs)
        text = trainee.model.language_model
        assert inputs.labels is not None
        hidden = text(embeds)
        shifted = inputs.labels[1:]
        total += float(
            torch.nn.functional.cross_entropy(text.logits(hidden[:-1]), shifted, reduction="sum")
        )
        next_ids = torch.cat([inputs.input_ids[1:], torch.zeros(1, dtype=torch.int64)])
        # to the head, which reads ids, a visual token of a video is one of a picture
        drafted = text.mtp_hidden(hidden, text.embed(next_ids.where(next_ids != 400, 18)))
        mtp_total += float(
            torch.nn.functional.cross_entropy(
                text.logits(drafted[:-2]), inputs.labels[2:], reduction="sum"
            )
        )
        count += int((shifted != -100).sum())
    assert float(parts["next"]) == pytest.approx(total / count, rel=1e-4)
    assert float(parts["mtp"]) == pytest.approx(mtp_total / count, rel=1e-4)
    assert float(loss) == pytest.approx((total + 0.3 * mtp_total) / count, rel=1e-4)


def test_a_few_steps_at_random_rates(processor: Processor):
    torch.manual_seed(0)
    trainee = Trainee(random_model(CONFIG)).train()
    task = AnswersTask(trainee, stage(), Precision())
    packer = Packer(RowLimits(tokens=800, patches=4000, open_rows=1), RATES)
    rows: list[Batch] = []
    for tag, example in enumerate([*examples(processor), *examples(processor)[:2]]):
        assert packer.fits_alone(example)
        if (full := packer.add((0, tag), example)) is not None:
            rows.append(packer.pack(full))
    assert len({tuple(plan.keep for plan in row.evs) for row in rows}) > 1
    assert all(row.num_tokens <= 800 for row in rows)
    assert any(len(row.input_ids) > 800 for row in rows)  # more fits than fits unpruned
    losses = []
    for row in [*rows, rows[0]]:
        loss, _ = task.loss(row)
        trainee.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in trainee.parameters():
                if weight.grad is not None:
                    weight -= 0.02 * weight.grad / weight.grad.norm().clamp(min=1e-6)
        task.after_step()
        losses.append(float(loss.detach()))
    grads = {
        name: weight.grad for name, weight in trainee.named_parameters() if weight.grad is not None
    }
    assert any(name.startswith("model.vision_encoder.blocks") for name in grads)
    assert "model.vision_encoder.patch_generator.video_embedder.weight" in grads
    assert all(bool(torch.isfinite(grad).all()) for grad in grads.values())
    assert losses[-1] < losses[0]
    scores = task.evaluate([replace(row, kinds=("value",) * row.num_examples) for row in rows[:1]])
    assert scores["loss"] > 0


class Clips:
    """Records that say which of the conversations they are."""

    def records(self, shard: int):
        for idx in range(8):
            meta = {"which": (shard * 8 + idx) % len(CONVERSATIONS)}
            yield Record(key=f"{shard}-{idx}", image=np.zeros((2, 2, 3), np.uint8), meta=meta)


def test_a_stopped_loader_draws_the_same_rates(processor: Processor, tmp_path: Path):
    made = examples(processor)

    def loader(folder: str) -> Loader:
        return Loader(
            ShardProducer(Clips(), tmp_path / folder, workers=0),
            lambda record: made[record.meta["which"]],
            limits=RowLimits(tokens=1200, patches=4000, open_rows=2),
            evs=RATES,
        )

    whole, parts = loader("whole"), loader("parts")
    rows = [next(whole) for _ in range(6)]
    for _ in range(3):
        next(parts)
    other = loader("other")
    other.load_state_dict(parts.state_dict())
    for row in rows[3:]:
        again = next(other)
        assert again.evs == row.evs and torch.equal(again.input_ids, row.input_ids)
    assert len({tuple(p.keep / p.num_tokens for p in row.evs) for row in rows}) > 2


def test_a_recipe_says_the_rates():
    assert stage(evs={"rates": [0, 0.5, 0.75, 0.9]}).evs.rates == (0.0, 0.5, 0.75, 0.9)
    assert stage().evs.draw("any") == EVSConfig()
    drawn = [RATES.draw(str(n)).rate for n in range(400)]
    assert all(80 <= drawn.count(rate) <= 120 for rate in RATES.rates)
    with pytest.raises(ConfigError, match=r"stage\.evs: The EVS rate is 1\.5"):
        stage(evs={"rates": [1.5]})
    with pytest.raises(ConfigError, match="rates of EVS are empty"):
        stage(evs={"rates": []})
    with pytest.raises(ConfigError, match="did you mean 'rates'"):
        parse_recipe(
            {"name": "n", "seed": 1, "preset": "tiny", "output": "o", "stages": [
                {"name": "a", "task": "answers", "steps": 1, "data": [{"config": {}}],
                 "learning_rates": {"projector": 1e-3}, "evs": {"rate": [0.5]}}]}
        )  # fmt: skip
