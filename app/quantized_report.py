"""What `latentvlm bench --quantized` prints."""

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..eval.quantized_speed import QuantizedReport


def show_quantized_report(report: "QuantizedReport") -> None:
    """A Markdown table on stdout, then the ratios that were aimed at."""
    print(
        "| | memory, MB | of BF16 | open, s | prefill, tokens/s | of float32 | decode, tokens/s | "
        "of float32 | same next token |"
    )
    print("|" + " --- |" * 9)
    for side, found in report.sides.items():
        cells = [
            side,
            f"{found.num_bytes / 1e6:.0f}",
            f"{report.memory_ratio(side):.2f}",
            _rates([1 / seconds for seconds in found.load], "{:.2f}", inverse=True),
            _rates([report.config.prompt_length / seconds for seconds in found.prefill]),
            f"{report.speed_ratio(side, 'prefill'):.2f}",
            _rates([1 / seconds for seconds in found.decode]),
            f"{report.speed_ratio(side, 'decode'):.2f}",
            f"{found.agreement:.1%}",
        ]
        print(f"| {' | '.join(cells)} |")
    load = "?" if report.foreign_load is None else f"{report.foreign_load:.0%}"
    config = report.config
    print(
        f"\nA mixture of {report.num_parameters / 1e6:.0f}M random parameters, "
        f"{config.experts} experts a layer; a prompt of {config.prompt_length} tokens, then "
        f"{config.decode_tokens} tokens. {config.threads} thread(s), torch "
        f"{report.torch_version}; medians (slowest to fastest) of {config.repeats}, all sides in "
        f"turns; other processes used {load} of the machine.\nWeights that are not packed are "
        "float32, but on the side bfloat16."
    )


def _rates(values: list[float], form: str = "{:.4g}", *, inverse: bool = False) -> str:
    shown = sorted(1 / value for value in values) if inverse else sorted(values)
    median, low, high = statistics.median(shown), shown[0], shown[-1]
    if inverse:  # of seconds the slowest is the largest
        low, high = high, low
    return f"{form.format(median)} ({form.format(low)} to {form.format(high)})"
