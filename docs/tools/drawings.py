"""The drawings of the site, made of the package's own values: `make drawings`.

page.png     the sample invoice as the default model's processor cuts it into tokens
layers.svg   the layers of published models, one stripe each
experts.svg  an expert layer of Nemotron 3 Nano beside the latent one of Super, to scale
evs.svg      which tokens of a drawn clip Efficient Video Sampling keeps
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

import latentvlm
from latentvlm.app.explain.sheet import draw_sheet
from latentvlm.token_reduction.evs import EVSPlan, retention_mask
from latentvlm.vlm.config import LanguageConfig, VisionLanguageConfig
from latentvlm.vlm.explaining import explain
from latentvlm.vlm.presets import preset

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "M": ("Mamba-2", "#3b7dd8"),
    "m": ("Mamba-1", "#7fb2f0"),
    "*": ("attention", "#d8483b"),
    "E": ("experts", "#3fa65a"),
    "-": ("MLP", "#c9c9c9"),
}
NAMES = (
    "nemotron-nano-9b-v2",
    "nemotron-nano-12b-v2-vl",
    "nemotron-3-nano-30b-a3b",
    "nemotron-3-super-120b-a12b",
    "nemotron-3-ultra-550b-a55b",
    "jamba-1.5-mini",
    "jamba-1.5-large",
)


def text_config(name: str) -> LanguageConfig:
    config = preset(name)
    return config.text if isinstance(config, VisionLanguageConfig) else config


def draw_layers() -> Figure:
    """A stripe of layers for each model, first layer left."""
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(NAMES) + 0.7))
    for row, name in enumerate(NAMES):
        for idx, kind in enumerate(text_config(name).hybrid_override_pattern):
            color = KINDS[kind][1]
            axes.add_patch(Rectangle((idx, row + 0.15), 0.9, 0.7, color=color, linewidth=0))
    axes.set_xlim(0, max(len(text_config(name).hybrid_override_pattern) for name in NAMES))
    axes.set_ylim(len(NAMES), 0)
    axes.set_yticks([row + 0.5 for row in range(len(NAMES))], NAMES, fontsize=8)
    axes.set_xlabel("layer", fontsize=8)
    axes.tick_params(labelsize=8, length=0)
    axes.spines[:].set_visible(False)
    patches = [Patch(color=color, label=label) for label, color in KINDS.values()]
    axes.legend(handles=patches, ncols=5, fontsize=8, frameon=False, loc="lower right",
                bbox_to_anchor=(1, 1))  # fmt: skip
    return figure


def draw_experts() -> Figure:
    """Two expert layers: boxes are as wide as the vectors that travel there."""
    figure, both = plt.subplots(1, 2, figsize=(9, 3.2))
    for axes, name in zip(both, NAMES[2:4], strict=True):
        config = text_config(name)
        inner = config.moe_latent_size or config.hidden_size
        steps = [("token", config.hidden_size, "#3b7dd8")]
        if config.moe_latent_size:
            steps.append(("projected down, once", inner, "#8d6cc4"))
        chosen = f"{config.num_experts_per_tok} of {config.n_routed_experts} experts, each"
        steps.append((chosen, config.moe_intermediate_size, "#3fa65a"))
        if config.moe_latent_size:
            steps.append(("their sum", inner, "#8d6cc4"))
        steps.append(("token" if inner == config.hidden_size else "projected up, once",
                      config.hidden_size, "#3b7dd8"))  # fmt: skip
        for row, (label, width, color) in enumerate(steps):
            axes.add_patch(Rectangle((-width / 2, row + 0.35), width, 0.4, color=color))
            axes.text(0, row + 0.25, f"{label}: {width}", ha="center", fontsize=8)
        axes.set_xlim(-2300, 2300)
        axes.set_ylim(5, -0.2)
        axes.set_title(name, fontsize=9)
        axes.axis("off")
    return figure


def draw_evs(rate: float = 0.75) -> Figure:
    """A bright square moves over a still page: kept tokens in colour, one panel a tubelet."""
    tubelets, rows, cols = 8, 8, 12
    generator = torch.Generator().manual_seed(0)
    still = torch.rand(rows, cols, 16, generator=generator)
    video = still.repeat(tubelets, 1, 1, 1)
    for time in range(tubelets):
        video[time, 3:5, time : time + 2] = torch.rand(2, 2, 16, generator=generator) * 3
    keep = round(video[..., 0].numel() * (1 - rate))
    mask = retention_mask(video, EVSPlan(shape=(tubelets, rows, cols), keep=keep))
    figure, panels = plt.subplots(1, tubelets, figsize=(9, 1.3))
    for time, axes in enumerate(panels):
        shown = torch.where(mask[time][..., None], torch.tensor([0.25, 0.65, 0.35]), 0.88)
        axes.imshow(shown.numpy(), interpolation="nearest")
        axes.set_title(f"{int(mask[time].sum())} of {rows * cols}", fontsize=7)
        axes.axis("off")
    return figure


def save(figure: Figure, path: Path) -> Path:
    facts = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    figure.savefig(path, bbox_inches="tight", dpi=110, metadata=facts)
    plt.close(figure)
    return path


def draw_all(folder: Path) -> list[Path]:
    """Writes every drawing; the files are the same each time."""
    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "latentvlm"}):
        drawn = [
            save(draw(), folder / name)
            for name, draw in (
                ("layers.png", draw_layers),  # as SVG its many boxes are ten times the bytes
                ("experts.svg", draw_experts),
                ("evs.svg", draw_evs),
            )
        ]
    seen = explain(latentvlm.load(), "", [ROOT / "data" / "samples" / "invoice.png"])
    sheet = draw_sheet(seen)
    sheet.convert("P", palette=1, colors=64).save(folder / "page.png", optimize=True)
    return [*drawn, folder / "page.png"]


def main(arguments: list[str]) -> None:
    """Draws into the folder given, or into docs/drawings."""
    for path in draw_all(Path(arguments[0]) if arguments else ROOT / "docs" / "drawings"):
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
