"""How what videos cost is shown."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..eval.video_speed import VideoReport


def show_video_report(report: "VideoReport") -> None:
    """Markdown tables on stdout, then what to know about them."""
    from ..eval.speed import FOREIGN_LOAD_LIMIT

    config = report.config
    head = ["", "EVS rate", "prompt tokens", "frames/s decoded", "prepared", "encoded"]
    head += ["prefill, s", "first token, s"]
    print(f"| {' | '.join(head)} |")
    print("|" + " --- |" * len(head))
    for each in report.figures:
        cells = [
            each.side,
            f"{each.rate:.0%}",
            str(each.tokens),
            *(
                f"{config.frames / seconds:.3g}" if seconds else ""
                for seconds in (each.decode_s, each.prepare_s, each.encode_s)
            ),
            f"{each.prefill_s:.3g}",
            f"{each.first_token_s:.3g}",
        ]
        print(f"| {' | '.join(cells)} |")
    if report.reuse:
        head = ["clip", "reuse", "encoded", "time", "features off", "of the changed", "same token"]
        print(f"\n| {' | '.join(head)} |")
        print("|" + " --- |" * len(head))
    for figure in report.reuse:
        cells = [
            figure.clip,
            figure.way,
            f"{figure.encoded:.0%}",
            f"{figure.time_ratio:.2f}",
            f"{figure.feature_error:.1%}",
            f"{figure.changed_error:.1%}",
            "yes" if figure.same_token else "no",
        ]
        print(f"| {' | '.join(cells)} |")
    for what, peak in report.peak_bytes.items():
        side, rate = what.split()
        shown = "could not be measured" if peak is None else f"{peak / 1e6:.0f} MB"
        print(f"\nPeak memory beyond weights and patches, {side} at rate {rate}: {shown}")
    height, width = config.size
    print(
        f"\n{config.preset}, random weights, float32, {config.threads} thread(s); {config.frames} "
        f"frames of an H.264 file of {width} x {height}; medians of {config.repeats}. transformers"
        "' tower and prefill are timed apart and\nadded, since its own video forward fails; "
        "decoding and preparing frames is in the first token's time of latentvlm alone.\nTime of "
        "reuse is over encoding whole."
    )
    if report.foreign_load is not None and report.foreign_load > FOREIGN_LOAD_LIMIT:
        print(
            f"\nOther processes used {report.foreign_load:.0%} of the machine: trust neither rates "
            "nor ratios closely."
        )
