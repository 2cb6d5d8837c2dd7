"""lmms-eval's score of a pair, by metric."""

import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from metric_pairs import MAKERS

from latentvlm.eval.metrics import Gold

from .rows import caption_row, option_row, v2_row
from .taken import as_package, taken


def judged(prompt: str) -> tuple[str, int]:
    """In place of the judge model that a kit asks where its rules read nothing: it says no."""
    return "Incorrect", 0


def scorers(root: Path) -> dict[str, Callable[[str, Gold], float]]:
    tasks = root / "lmms_eval/tasks"
    metrics = taken(root / "lmms_eval/api/metrics.py")
    chart = taken(tasks / "chartqa/utils.py")
    processor = taken(tasks / "_task_utils/vqa_eval_metric.py").EvalAIAnswerProcessor
    import statistics

    known = {"EvalAIAnswerProcessor": processor, "statistics": statistics}
    text = taken(tasks / "textvqa/utils.py", **known)
    document = taken(
        tasks / "mmlongbench_doc/utils.py",
        levenshtein_distance=metrics.levenshtein_distance,
        lru_cache=lambda maxsize: lambda function: function,
        _UNANSWERABLE="not answerable",
    )
    ocr = taken(tasks / "ocrbench/utils.py")
    shared = taken(tasks / "_task_utils/mmmu_mcq_utils.py")
    mmmu = taken(
        tasks / "mmmu/utils.py",
        parse_mmmu_multi_choice_response=shared.parse_mmmu_multi_choice_response,
        VerificationPipeline=None,
    )
    spec = importlib.util.spec_from_file_location(
        "kit_mcq_extract", tasks / "_task_utils/mcq_extract.py"
    )
    extract = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extract)
    ranked = extract.extract_mcq_answer
    mvbench = taken(tasks / "mvbench/utils.py", datasets=types.SimpleNamespace(Dataset=None))
    long = taken(tasks / "longvideobench/utils.py")
    second = taken(tasks / "videomme_v2/utils.py")
    ai2d = taken(tasks / "ai2d/utils.py", ExtendedRegexFilter=object)

    def ai2d_score(prediction: str, gold: Gold) -> float:
        filtered = ai2d.MultiChoiceRegexFilter.apply(None, [[prediction]], [None])
        match = metrics.exact_match_hf_evaluate(
            filtered, list(gold.answers), ignore_case=True, ignore_punctuation=True
        )
        return match["exact_match"]

    from anls import anls_score

    known = {"anls_score": anls_score, "List": list, "Optional": Optional}
    pro = taken(tasks / "chartqapro/utils.py", **known, _SPLIT_TO_METRIC={})
    ego = taken(tasks / "egoschema/utils.py")
    temp = taken(tasks / "tempcompass/utils.py")
    temp.extract_pred.__globals__["get_eval_result"] = judged

    def chartqapro(prediction: str, gold: Gold) -> float:
        row = {"Answer": [gold.answers[0]], "Question Type": gold.kind, "Year": list(gold.texts)}
        return pro.chartqapro_process_results(row, [prediction])["relaxed_overall"]

    def egoschema(prediction: str, gold: Gold) -> float:
        lines = [f"{a}. {b}" for a, b in zip("ABCDE", gold.options, strict=True)]
        row = {"option": lines, "video_idx": "x", "answer": "ABCDE".index(gold.answers[0])}
        score = ego.egoschema_process_results_generation(row, [prediction])["score"]
        return score["pred"] == score["ground_truth"]

    def tempcompass(name: str, row: Callable[[Gold], dict[str, Any]]) -> Callable[..., float]:
        process = getattr(temp, f"tempcompass_process_results_{name}")
        return lambda p, g: process(row(g) | {"dim": "x", "video_id": "x"}, [p])["avg_accuracy"][
            "rating"
        ]

    def choices(gold: Gold) -> tuple[list[str], dict[str, str]]:
        index, letters = shared.get_multi_choice_info(gold.options)[:2]
        return letters, index

    def mmmu_open(prediction: str, gold: Gold) -> float:
        parsed = mmmu.parse_open_response(prediction)
        return mmmu.eval_open(gold.answers[0], str(parsed[0]) if parsed else "")

    load = as_package(root, "lmms_eval.tasks.ocrbench_v2")
    stub = types.ModuleType("lmms_eval.tasks._task_utils.file_utils")
    stub.generate_submission_file = None
    sys.modules["lmms_eval.tasks._task_utils"] = types.ModuleType("_task_utils")
    sys.modules[stub.__name__] = stub
    second_ocr = load("utils")

    def ocrbench_v2(prediction: str, gold: Gold) -> float:
        row = v2_row(prediction, gold) | {"eval": gold.rule}
        return second_ocr.ocrbench_v2_process_results(row, [prediction])["ocrbench_v2_accuracy"][
            "score"
        ]

    found = {
        "ai2d": ai2d_score,
        "chartqapro": chartqapro,
        "choice": lambda p, g: ranked(p, choices=list("ABCDE"[: len(g.options)])) == g.answers[0],
        "egoschema": egoschema,
        "tempcompass": tempcompass("multi_choice", option_row),
        "tempcompass_captions": tempcompass("caption_matching", caption_row),
        "yes_no": tempcompass("yes_no", lambda g: {"question": "", "answer": g.answers[0]}),
        "anls": lambda p, g: metrics.anls(list(g.answers), [p])["anls"],
        "longvideobench": lambda p, g: (
            long.parse_multi_choice_response(p, *choices(g)) == g.answers[0]
        ),
        "mlvu": lambda p, g: ranked(p, choices=list("ABCD")) == g.answers[0],
        "mmlongbench_doc": lambda p, g: document._score_answer(g.answers[0], p.strip(), g.kind),
        "mmmu": lambda p, g: mmmu.parse_multi_choice_response(p, *choices(g)) == g.answers[0],
        "mmmu_open": mmmu_open,
        "mvbench": lambda p, g: mvbench.mcq_acc(g.answers[0], p),
        "ocrbench": lambda p, g: ocr.ocrbench_process_results(
            {
                "answer": list(g.answers),
                "dataset": "HME100k" if g.kind == "formula" else "x",
                "question_type": "",
            },
            [p],
        )["ocrbench_accuracy"]["score"],
        "relaxed_accuracy": lambda p, g: chart.relaxed_correctness(p, g.answers[0]),
        "video_mme": lambda p, g: ranked(p, choices=list("ABCD")).lower() == g.answers[0].lower(),
        "video_mme_v2": lambda p, g: second.extract_characters_regex(p) == g.answers[0],
        "vqa_accuracy": lambda p, g: text.textvqa_process_results(
            {"answers": list(g.answers), "question_id": 0}, [p]
        )["exact_match"],
    }
    v2 = {name: ocrbench_v2 for name in MAKERS if name.startswith("ocrbench_v2/")}
    return {**found, **v2}
