"""`latentvlm bench`: speed and memory beside transformers, on random weights."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InputError

if TYPE_CHECKING:
    from ...eval.load_speed import LoadReport
    from ...eval.speed import Figure, SpeedReport


def bench(
    preset: Annotated[
        list[str] | None, typer.Option(help="Architecture; may be given again (bench-s, bench-m).")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of both sides.")] = 1,
    repeats: Annotated[int | None, typer.Option(min=1, help="Repeats of each run (5).")] = None,
    prompt_length: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Tokens to read; may be given again (512, 2048, 8192)."),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=0, help="Side of the picture in pixels; 0: none (512).")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One preset, one prompt length, one batch size.")
    ] = False,
    load: Annotated[
        bool, typer.Option("--load", help="Measure opening a checkpoint of random weights instead.")
    ] = False,
    size_gb: Annotated[
        float | None, typer.Option(help="Size of that checkpoint; it is removed afterwards (2).")
    ] = None,
    vision: Annotated[
        bool,
        typer.Option(
            "--vision",
            help="Measure pictures and a PDF up to its first token instead (some minutes; with "
            "--quick seconds).",
        ),
    ] = False,
    video: Annotated[
        bool,
        typer.Option(
            "--video",
            help="Measure a clip up to its first token instead (some minutes; with --quick "
            "seconds).",
        ),
    ] = False,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of that clip (128; with --quick 16).")
    ] = None,
    quantized: Annotated[
        bool, typer.Option("--quantized", help="Measure FP8, NVFP4, INT8 and INT4 instead.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure speed and memory beside transformers, on the same random weights.

    Example: latentvlm bench --json
    """
    if quantized:
        others = (preset, prompt_length, image_size, size_gb, frames)
        if load or vision or video or any(other is not None for other in others):
            raise InputError(
                "--quantized measures number formats and nothing else: only --quick, --repeats, "
                "--threads and --json go with it."
            )
        _bench_quantized(repeats, quick=quick, threads=threads, json=json)
        return
    if frames is not None and not video:
        raise InputError("--frames is the length of the clip of --video; give both.")
    if video or vision:
        if prompt_length or image_size is not None or load or size_gb is not None:
            raise InputError(
                "--vision and --video measure pictures, a PDF and a clip and nothing else: leave "
                "out --prompt-length, --image-size, --load and --size-gb."
            )
        if preset and len(preset) > 1:
            raise InputError("--vision and --video measure one --preset at a time.")
        given = {"preset": preset[0] if preset else None, "repeats": repeats}
        given = {name: value for name, value in given.items() if value is not None}
        given["threads"] = threads
        _bench_seeing(given, vision, video, frames, quick=quick, json=json)
        return
    if load:
        if preset or prompt_length or image_size is not None or quick:
            raise InputError(
                "--load opens a checkpoint and measures nothing else: leave out --preset, "
                "--prompt-length, --image-size and --quick."
            )
        size_gb = 2.0 if size_gb is None else size_gb
        _bench_load(size_gb, repeats=repeats or 3, threads=threads, json=json)
        return
    if size_gb is not None:
        raise InputError("--size-gb is the size of the checkpoint of --load; give both.")
    from ...eval.speed import QUICK, SpeedConfig, measure_speed

    given: dict[str, Any] = {
        "presets": tuple(preset) if preset else None,
        "prompt_lengths": tuple(prompt_length) if prompt_length else None,
        "repeats": repeats,
        "image_size": image_size,
    }
    given = {name: value for name, value in given.items() if value is not None}
    config = replace(QUICK if quick else SpeedConfig(), threads=threads, **given)
    report = measure_speed(config, lambda line: print(f"measuring {line}", file=sys.stderr))
    if json:
        from json import dumps

        print(dumps(report.as_values()))
    else:
        show_report(report)


def _bench_seeing(
    given: dict[str, Any], vision: bool, video: bool, frames: int | None, *, quick: bool, json: bool
) -> None:
    """Pictures and a PDF, a clip, or both one after the other."""
    from ...eval import video_speed, vision_speed
    from ..video_report import show_video_report
    from ..vision_report import show_vision_report

    def notify(line: str) -> None:
        print(f"measuring {line}", file=sys.stderr, flush=True)

    values: dict[str, Any] = {}
    if vision:
        config = vision_speed.QUICK if quick else vision_speed.VisionSpeedConfig()
        report = vision_speed.measure_vision(replace(config, **given), notify)
        values["vision"] = report.as_values()
        if not json:
            show_vision_report(report)
    if video:
        config = video_speed.QUICK if quick else video_speed.VideoSpeedConfig()
        more = {} if frames is None else {"frames": frames}
        report = video_speed.measure_videos(replace(config, **given, **more), notify)
        values["video"] = report.as_values()
        if not json:
            if vision:
                print()
            show_video_report(report)
    if json:
        from json import dumps

        print(dumps(values))


def _bench_quantized(repeats: int | None, *, quick: bool, threads: int, json: bool) -> None:
    from ...eval.quantized_speed import QUICK, QuantizedSpeedConfig, measure_quantized
    from ..quantized_report import show_quantized_report

    base = QUICK if quick else QuantizedSpeedConfig()
    config = replace(base, threads=threads, repeats=repeats or base.repeats)
    report = measure_quantized(config, lambda line: print(line, file=sys.stderr))
    if json:
        from json import dumps

        print(dumps(report.as_values()))
    else:
        show_quantized_report(report)


def _bench_load(size_gb: float, *, repeats: int, threads: int, json: bool) -> None:
    from ...eval.load_speed import measure_load

    def notify(line: str) -> None:
        print(line, file=sys.stderr)

    report = measure_load(size_gb, repeats=repeats, threads=threads, notify=notify)
    if json:
        from json import dumps

        print(dumps(report.as_values()))
    else:
        show_load_report(report)


def show_load_report(report: "LoadReport") -> None:
    """A Markdown table on stdout, then the ratios."""
    from ...eval.load_speed import SIDES

    print("| | seconds | CPU seconds | model, GB | peak, GB |")
    print("| --- | --- | --- | --- | --- |")
    for side in SIDES:
        seconds, cpu, held, peak = (
            report.median(side, key)
            for key in ("seconds", "cpu_seconds", "model_bytes", "peak_bytes")
        )
        print(f"| {side} | {seconds:.2f} | {cpu:.2f} | {held / 1e9:.2f} | {peak / 1e9:.2f} |")
    count = len(report.openings[SIDES[0]])
    print(
        f"\n{report.file_bytes / 1e9:.2f} GB of {report.dtype} on {report.device}, from the "
        f"system's file cache; medians of {count} openings of each side in turns, each in a new "
        "process.\nPeak is anonymous memory, seen from outside.\nLoading takes "
        f"{report.ratio('seconds'):.2f} of transformers' time "
        f"({report.ratio('cpu_seconds'):.2f} by CPU time)."
    )


def show_report(report: "SpeedReport") -> None:
    """A Markdown table on stdout, then the notes that say how far to trust it."""
    from ...eval.speed import FOREIGN_LOAD_LIMIT, SIDES

    head = ["preset", "what", "unit", *SIDES, "ratio", "by CPU time", "of ceiling", "load"]
    print(f"| {' | '.join(head)} |")
    print("|" + " --- |" * len(head))
    for figure in report.figures:
        cells = [
            figure.preset,
            figure.what,
            figure.unit,
            *(show_rate(figure, side) for side in SIDES),
            f"{figure.ratio:.2f}",
            f"{figure.cpu_ratio:.2f}",
            "" if figure.of_ceiling is None else f"{figure.of_ceiling:.0%} of {figure.ceiling}",
            "?" if figure.foreign_load is None else f"{figure.foreign_load:.0%}",
        ]
        print(f"| {' | '.join(cells)} |")
    config, ceilings = report.config, report.ceilings
    for name, sides in report.peak_bytes.items():
        ours, theirs = (sides[side] / 1e6 for side in SIDES)
        print(
            f"\n{name}: reading {config.memory_length} tokens takes {ours:.0f} MB more than the "
            f"weights; transformers {theirs:.0f} MB ({theirs / ours:.2f} times)."
        )
    print(
        f"\nfloat32, {config.threads} thread(s) on each side, {report.cores} core(s), torch "
        f"{report.torch_version}; median (slowest to fastest) of {config.repeats} repeats, the two "
        f"in turns.\nCeilings: {ceilings.gemm_gflops:.0f} GFLOP/s, {ceilings.read_gbytes:.1f} GB/s."
    )
    if report.is_disturbed:
        print(
            f"\nOther processes used more than {FOREIGN_LOAD_LIMIT:.0%} of the machine (column "
            "load): trust the ratios, not the rates."
        )


def show_rate(figure: "Figure", side: str) -> str:
    rate = figure.rates[side]
    return f"{rate.median:.4g} ({rate.low:.4g} to {rate.high:.4g})"
