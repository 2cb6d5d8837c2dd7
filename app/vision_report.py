"""How what pictures and documents cost is shown."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..eval.vision_speed import VisionReport


def show_vision_report(report: "VisionReport") -> None:
    """A Markdown table on stdout, then what to know about it."""
    from ..eval.speed import FOREIGN_LOAD_LIMIT
    from ..eval.vision_speed import OURS, THEIRS

    head = ["what", "unit", OURS, THEIRS, "ratio"]
    print(f"| {' | '.join(head)} |")
    print("|" + " --- |" * len(head))
    for figure in report.figures:
        theirs = figure.sides.get(THEIRS)
        cells = [
            figure.what,
            figure.unit,
            f"{figure.sides[OURS]:.3g}",
            "" if theirs is None else f"{theirs:.3g}",
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
        ]
        print(f"| {' | '.join(cells)} |")
    config = report.config
    print(
        f"\nSmall pictures together are encoded at {report.packed_ratio:.2f} times the rate of one "
        f"by one.\nThe PDF is {report.pdf_tokens} tokens."
    )
    for side, peak in report.peak_bytes.items():
        shown = "could not be measured" if peak is None else f"{peak / 1e6:.0f} MB"
        print(f"Peak memory beyond weights and patches, {side}: {shown}.")
    print(
        f"\n{config.preset}, random weights, float32, {config.threads} thread(s); pages of "
        f"{config.page_patches} patches; medians of {config.repeats}, of pictures one more. "
        "transformers cannot read\na PDF: its tower and prefill are timed apart and added; drawing "
        "and preparing pages is in the first token's time of latentvlm alone."
    )
    if report.foreign_load is not None and report.foreign_load > FOREIGN_LOAD_LIMIT:
        print(
            f"\nOther processes used {report.foreign_load:.0%} of the machine: trust neither rates "
            "nor ratios closely."
        )
