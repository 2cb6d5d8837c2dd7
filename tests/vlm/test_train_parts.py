"""The parts of training: schedule, groups, losses, balance, the character head."""

import pytest
import torch
import torch.nn.functional as F
from support.training import example
from torch import nn

from latentvlm.data.char_labels import CHARSET, NUM_CLASSES, SLOTS
from latentvlm.data.packed_batch import pack
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.presets import tiny
from latentvlm.vlm.train.char_head import CharHead, CharScores, char_loss, edit_distance, read_line
from latentvlm.vlm.train.loss import balance_experts, mtp_loss, next_token_loss
from latentvlm.vlm.train.muon import Muon, orthogonalise
from latentvlm.vlm.train.optimizer import make_optimizers, rates_by_part, schedule, set_rates
from latentvlm.vlm.train.settings import OptimizerSettings
from latentvlm.vlm.train.stage import LearningRates
from latentvlm.vlm.train.tasks import Trainee


@pytest.fixture
def trainee() -> Trainee:
    torch.manual_seed(0)
    return Trainee(VisionLanguageModel(tiny()))


def test_warm_up_stable_decay():
    def factor(step, kind="wsd"):
        return schedule(step, steps=100, warmup_steps=10, decay_fraction=0.2, kind=kind)

    assert [factor(s) for s in (0, 4, 9, 10, 79, 80)] == [0.1, 0.5, 1, 1, 1, 1]
    assert factor(90) == pytest.approx(0.5) and factor(99) == pytest.approx(0.05)
    assert factor(99, "constant") == 1


def test_every_part_is_trained_or_frozen_as_asked(trainee):
    settings = OptimizerSettings()
    for part in ("vision_encoder", "projector", "language_model"):
        rates = rates_by_part(LearningRates(**{part: 0.1}), char=False)
        optimizers = make_optimizers(trainee, rates, settings)
        names = {name for o in optimizers for group in o.param_groups for name in group["names"]}
        wanted = {n for n, _ in trainee.named_parameters() if n.startswith(f"model.{part}.")}
        assert wanted - names <= {"model.vision_encoder.patch_generator.video_embedder.weight"}
        assert names <= wanted
        trained = {n for n, p in trainee.named_parameters() if p.requires_grad}
        assert trained == names
    rates = rates_by_part(LearningRates(vision_encoder=0.1), char=True)
    optimizers = make_optimizers(trainee, rates, settings)
    set_rates(optimizers, 0.5)
    assert {group["lr"] for o in optimizers for group in o.param_groups} == {0.05}
    assert any(
        "char_head.linear.weight" in group["names"] for o in optimizers for group in o.param_groups
    )


def test_muon_takes_the_matrices_inside_and_adamw_the_rest(trainee):
    rates = rates_by_part(LearningRates(vision_encoder=1, projector=1, language_model=1), char=True)
    adamw, muon = make_optimizers(trainee, rates, OptimizerSettings(), "muon")
    inside = {name for group in muon.param_groups for name in group["names"]}
    outside = {name for group in adamw.param_groups for name in group["names"]}
    assert {n for n, p in trainee.named_parameters() if p.requires_grad} == inside | outside
    assert not inside & outside
    assert "model.vision_encoder.blocks.0.attn.qkv.weight" in inside
    assert "model.language_model.layers.0.mixer.in_proj.weight" in inside
    assert "model.language_model.layers.3.mixer.experts.up_proj" in inside
    for name in ("lm_head.weight", "embeddings.weight", "pos_embed", "embedder.weight"):
        assert any(other.endswith(name) for other in outside)


def test_muon_orthogonalises_and_steps_as_torch_does():
    generator = torch.Generator().manual_seed(0)
    for shape in [(24, 40), (40, 24), (3, 16, 8)]:
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape, generator=generator)))
        assert values.min() > 0.3 and values.max() < 1.3
    ours = [nn.Parameter(torch.randn(s, generator=generator)) for s in [(24, 40), (24, 40), (9, 4)]]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    mine = Muon(ours, lr=0.02, weight_decay=0.1)
    other = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        before = [p.detach().clone() for p in ours]
        for mine_p, their_p in zip(ours, theirs, strict=True):
            mine_p.grad = torch.randn(mine_p.shape, generator=generator)
            their_p.grad = mine_p.grad.clone()
        mine.step()
        other.step()
        for mine_p, their_p, start in zip(ours, theirs, before, strict=True):
            # torch iterates in bfloat16
            moved = (mine_p - start).norm()
            assert (mine_p - their_p).norm() < 0.05 * moved
        for mine_p, their_p in zip(ours, theirs, strict=True):
            their_p.data.copy_(mine_p.data)


def test_muon_steps_a_stack_as_its_matrices():
    generator = torch.Generator().manual_seed(1)
    stack = nn.Parameter(torch.randn(3, 8, 6, generator=generator))
    alone = [nn.Parameter(matrix.clone()) for matrix in stack.detach()]
    stack.grad = torch.randn(stack.shape, generator=generator)
    for parameter, grad in zip(alone, stack.grad, strict=True):
        parameter.grad = grad.clone()
    Muon([stack], lr=0.1).step()
    Muon(alone, lr=0.1).step()
    torch.testing.assert_close(stack.detach(), torch.stack([p.detach() for p in alone]))


def test_no_decay_on_vectors_and_tables(trainee):
    rates = rates_by_part(LearningRates(vision_encoder=1, projector=1, language_model=1), char=True)
    optimizers = make_optimizers(trainee, rates, OptimizerSettings(weight_decay=0.1))
    decay = {n: g["weight_decay"] for o in optimizers for g in o.param_groups for n in g["names"]}
    for name, parameter in trainee.named_parameters():
        if name not in decay:
            continue
        spared = parameter.dim() < 2 or any(
            part in name for part in ("embeddings.", "conv1d", "pos_embed", "cls_token")
        )
        assert decay[name] == (0 if spared else 0.1), name


def _language_model() -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(tiny().text)


def test_packed_loss_is_the_loss_of_the_sequences_alone():
    model = _language_model()
    examples = [example(9, first=5), example(6, first=40), example(12, first=90)]
    total, count, drafted = 0.0, 0, 0.0
    drafted_count = 0
    for one in examples:
        batch = pack([one])
        hidden = model(model.embed(batch.input_ids), cu_seqlens=batch.cu_seqlens)
        labelled = int((batch.labels != -100).sum())
        total += next_token_loss(model, hidden, batch.labels)[0] * labelled
        count += labelled
        labelled = int((batch.next_labels != -100).sum())
        drafted += mtp_loss(model, hidden, batch) * labelled
        drafted_count += labelled
    batch = pack(examples)
    hidden = model(model.embed(batch.input_ids), cu_seqlens=batch.cu_seqlens)
    loss, norms = next_token_loss(model, hidden, batch.labels)
    assert norms.shape == (count,)
    torch.testing.assert_close(loss, total / count, rtol=1e-5, atol=1e-6)
    mtp = mtp_loss(model, hidden, batch)
    torch.testing.assert_close(mtp, drafted / drafted_count, rtol=1e-5, atol=1e-6)
    everywhere = F.cross_entropy(model.logits(hidden), batch.labels, ignore_index=-100)
    torch.testing.assert_close(loss, everywhere, rtol=1e-5, atol=1e-6)


def test_answers_weigh_alike_whatever_their_length():
    model = _language_model()
    hidden = torch.randn(9, 32, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([-100, 4, 5, 6, 7, -100, 8, -100, -100])  # of four tokens, and of one
    each = F.cross_entropy(model.logits(hidden), labels, ignore_index=-100, reduction="none")
    long, short = each[1:5], each[6]
    loss, _ = next_token_loss(model, hidden, labels, short_answers=1.0)
    torch.testing.assert_close(loss, (long.mean() + short) / 2)
    loss, _ = next_token_loss(model, hidden, labels, short_answers=0.5)
    torch.testing.assert_close(loss, (long.sum() / 2 + short) / 3)
    nothing = torch.full_like(labels, -100)
    assert next_token_loss(model, hidden, nothing, short_answers=1.0)[0] == 0


def test_balancing_moves_load_to_idle_experts():
    model = _language_model().train()
    gate = model.layers[3].mixer.gate
    gate.e_score_correction_bias += torch.tensor([0.1, 0.1, 0, 0])  # two experts take all
    inputs = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    model(inputs)
    before = balance_experts(model, rate=1e-3)
    for _ in range(80):
        model(inputs)
        after = balance_experts(model, rate=1e-3)
    assert before == 2.0 and after < 1.4
    assert float(gate.e_score_correction_bias[:2].max()) < 0.1


def test_character_loss_weighs_blanks_and_ignores():
    logits = torch.randn(6, SLOTS, NUM_CLASSES, generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(6, SLOTS, dtype=torch.int64)
    targets[0, 0], targets[1, 1] = 5, -100
    each = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none",
                           ignore_index=-100)  # fmt: skip
    weights = torch.full((12,), 0.1)
    weights[0], weights[3] = 1, 0
    wanted = (each * weights).sum() / weights.sum()
    torch.testing.assert_close(char_loss(logits, targets, blank_weight=0.1), wanted)


def test_reading_a_line_from_the_head():
    wanted = "Read0"
    logits = torch.zeros(2 * 4, SLOTS, NUM_CLASSES)
    logits[..., 0] = 5
    table = logits.view(2, 4 * SLOTS, NUM_CLASSES)
    for slot, char in enumerate(wanted):
        table[slot % 2, slot + 1, CHARSET.index(char) + 1] = 9  # rows change: the surer one speaks
    assert read_line(logits, grid=(2, 4)) == wanted
    targets = torch.zeros(8, SLOTS, dtype=torch.int64)
    for slot, char in enumerate(wanted):
        targets.view(2, 8)[1, slot + 1] = CHARSET.index(char) + 1
    scores = CharScores()
    scores.add(logits, targets, torch.tensor([[2, 4]]))
    assert scores.report()["line_error"] == 0 and scores.report()["char_accuracy"] == 0.4


def test_head_starts_at_empty():
    logits = CharHead(16)(torch.zeros(3, 16))
    assert logits.shape == (3, SLOTS, NUM_CLASSES) and (logits.argmax(-1) == 0).all()


@pytest.mark.parametrize(
    ("a", "b", "edits"), [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("abc", "", 3)]
)
def test_edit_distance(a, b, edits):
    assert edit_distance(a, b) == edit_distance(b, a) == edits
