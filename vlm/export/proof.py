"""What was proven of an export, and its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ...errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a quantized model may differ by.

    Attributes:
        max_kl: mean KL divergence of the next token, in nats, from the original's.
        min_agreement: share of positions whose likeliest token is the original's.
        max_layer_error: change of a layer's own output, of its size, on the original's input.
    """

    max_kl: float = 1.0
    min_agreement: float = 0.5
    max_layer_error: float = 0.6

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:  # NaN would let everything pass
                raise ConfigError(f"The limit {name} is {value:g}; it must be 0 or more.")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that must be so.

    Attributes:
        name: what.
        faults: what contradicts it, in words; none means it holds.
        about: what was looked at.
    """

    name: str
    faults: Sequence[str] = ()
    about: str = ""

    @property
    def passed(self) -> bool:
        return not self.faults


@dataclass(frozen=True, kw_only=True)
class LayerError:
    """How one layer differs.

    Attributes:
        weight: the largest relative error of its quantized weights.
        output: of its own output for the original's input, relative.
        drift: of the hidden states behind it, each model on its own way, relative.
    """

    layer: int
    letter: str
    formats: str
    weight: float
    output: float
    drift: float


@dataclass(kw_only=True)
class Proof:
    """Everything that was found.

    Attributes:
        out, against: the folders.
        bits: bits a parameter over all weights, and `bits_before`.
        classes: class to parameters, bytes, bits, the formats meant and found.
        logits: mean and largest KL, top-1 agreement, positions; empty if not reached.
        search: of "auto", the budget, what it took, and each unit's error in each format.
        answers: question, the original's answer, the export's.
        notes: what else a reader should know, such as experts that saw too few tokens.
        costs: bytes of both, seconds; of an export the most memory held, and how much of it more
            than before it began.
    """

    out: str
    against: str
    recipe: str = ""
    layout: str = ""
    prompts: str = ""
    checks: list[Check] = field(default_factory=list)
    bits: float = 0.0
    bits_before: float = 0.0
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)
    layers: list[LayerError] = field(default_factory=list)
    logits: dict[str, float] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
    answers: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, faults: Sequence[str], about: str = "") -> None:
        self.checks.append(Check(name=name, faults=tuple(faults), about=about))

    @property
    def holds(self) -> bool:
        """Whether every check passed, and there were any."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def faults(self) -> list[str]:
        return [fault for check in self.checks for fault in check.faults]

    def as_values(self) -> dict[str, Any]:
        """For JSON."""
        values = {
            key: value for key, value in vars(self).items() if key not in ("checks", "layers")
        }
        return {
            "verdict": "proven" if self.holds else "refuted",
            **values,
            "checks": [{**asdict(check), "passed": check.passed} for check in self.checks],
            "layers": [asdict(layer) for layer in self.layers],
        }

    def as_markdown(self) -> str:
        """For people."""
        return "\n".join(_lines(self)) + "\n"


def _lines(proof: Proof) -> list[str]:
    verdict = "PROVEN" if proof.holds else "REFUTED"
    lines = [
        f"# {verdict}: {proof.out}",
        "",
        f"Against {proof.against}, recipe {proof.recipe}, layout {proof.layout}; "
        f"{proof.bits:.2f} bits a parameter, {proof.bits_before:.2f} before.",
        "",
        "| check | holds | |",
        "| --- | --- | --- |",
    ]
    for check in proof.checks:
        shown = "; ".join(check.faults[:4]) or check.about
        more = f" and {len(check.faults) - 4} more" if len(check.faults) > 4 else ""
        lines.append(f"| {check.name} | {'yes' if check.passed else '**no**'} | {shown}{more} |")
    if proof.classes:
        lines += [
            "",
            "| class | parameters | bits | meant | found |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, each in proof.classes.items():
            lines.append(
                f"| {name} | {each['parameters']:,} | {each['bits']:.2f} | {each['meant']} "
                f"| {each['found']} |"
            )
    if proof.costs:
        lines += ["", _costs(proof.costs)]
    if proof.logits:
        lines += [
            "",
            f"Next token on {proof.prompts}: KL {proof.logits['kl']:.4f} nats on average, "
            f"{proof.logits['largest_kl']:.4f} at most; the likeliest token agrees at "
            f"{100 * proof.logits['agreement']:.1f}% of {proof.logits['positions']:.0f} positions.",
        ]
    if proof.layers:
        lines += [
            "",
            "| layer | formats | weight error | output error | drift |",
            "| --- | --- | --- | --- | --- |",
        ]
        for layer in proof.layers:
            lines.append(
                f"| {layer.layer} {layer.letter} | {layer.formats} | {layer.weight:.4f} "
                f"| {layer.output:.4f} | {layer.drift:.4f} |"
            )
    lines += _search(proof.search)
    if proof.answers:
        lines += ["", "| question | before | after |", "| --- | --- | --- |"]
        lines += [
            f"| {_cell(each['question'])} | {_cell(each['before'])} | {_cell(each['after'])} |"
            for each in proof.answers
        ]
    lines += ["", *(f"- {note}" for note in proof.notes)] if proof.notes else []
    return lines


def _search(search: Mapping[str, Any]) -> list[str]:
    """What "auto" measured and chose."""
    if not search:
        return []
    forms = list(dict.fromkeys(form for unit in search["units"] for form in unit["errors"]))
    forms = [form for form in forms if form != "keep"]
    lines = [
        "",
        f"auto had {search['budget']:g} bits a parameter of the layers' products and took "
        f"{search['bits']:.2f}. By how much each alone changes what its layer puts out (squared "
        "error, of its size):",
        "",
        f"| unit | parameters | chosen | {' | '.join(forms)} |",
        "| --- | --- | --- |" + " --- |" * len(forms),
    ]
    for unit in search["units"]:
        errors = [f"{unit['errors'][f]:.2e}" if f in unit["errors"] else "" for f in forms]
        lines.append(
            f"| {unit['unit']} | {unit['parameters']:,} | {unit['chosen']} | {' | '.join(errors)} |"
        )
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " / ")


def _costs(costs: Mapping[str, float]) -> str:
    """Bytes, time and memory in words."""
    words = []
    if "bytes_after" in costs:
        words.append(f"{costs['bytes_before']:,} bytes became {costs['bytes_after']:,}")
    if "seconds" in costs:
        words.append(f"it took {costs['seconds']:.0f} s")
    if "peak_bytes" in costs:
        words.append(
            f"at most {costs['peak_bytes'] / 1e6:,.0f} MB of memory were held, "
            f"{costs['peak_bytes_more'] / 1e6:,.0f} MB more than before it began"
        )
    return f"{', '.join(words)}."
