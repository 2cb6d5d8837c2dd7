"""The score that the code of a benchmark's own authors gives a pair, by metric.

ANLS is the challenge's script as Qwen-VL carries it, TextVQA's that of M4C, ChartQA's measure that
of Pix2Struct: the benchmarks' authors have none of their own in a public repository.
"""

import ast
import importlib
import json
import math
import sys
import types
from collections.abc import Callable
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import Any, Optional

from metric_pairs import MAKERS

from latentvlm.eval.metrics import Gold

from .rows import caption_row, option_row, v2_row
from .taken import taken

LETTERS = "ABCDEFGH"
Scorer = Callable[[str, Gold], float]
# In place of files: what is "opened" is the value itself.
VALUES = types.SimpleNamespace(load=lambda value: value, dump=lambda *values, **settings: None)


def scorers(root: Path) -> dict[str, Scorer]:
    return {
        **_documents(root),
        **_choices(root),
        **_tempcompass(root / "llyx97/TempCompass"),
        "ocrbench": _ocrbench(root / "Yuliang-Liu/MultimodalOCR/OCRBench/example.py"),
        **_ocrbench_v2(root / "Yuliang-Liu/MultimodalOCR/OCRBench_v2/eval_scripts"),
    }


def _documents(root: Path) -> dict[str, Scorer]:
    challenge = taken(
        root / "QwenLM/Qwen-VL/eval_mm/infographicsvqa_eval.py",
        json=VALUES,
        open=lambda value, mode: value,
        question_ids_to_exclude=[],
    )
    m4c = taken(root / "facebookresearch/mmf/mmf/utils/m4c_evaluators.py")
    evaluator = m4c.TextVQAAccuracyEvaluator()
    chart = taken(root / "google-research/pix2struct/pix2struct/metrics.py")
    long = taken(root / "mayubo2333/MMLongBench-Doc/eval/eval_score.py", isclose=math.isclose)
    from anls import anls_score

    pro = taken(
        root / "vis-nlp/ChartQAPro/evaluate_predictions.py",
        anls_score=anls_score,
        Optional=Optional,
    )
    threshold = types.SimpleNamespace(answer_types=False, anls_threshold=0.5)

    def anls(prediction: str, gold: Gold) -> float:
        golds = {"data": [{"questionId": 1, "question": "", "answers": list(gold.answers)}]}
        replies = [{"questionId": 1, "answer": prediction}]
        return challenge.evaluate_method(golds, replies, threshold)["result"]["score"]

    def mmlongbench(prediction: str, gold: Gold) -> float:
        try:
            return long.eval_score(gold.answers[0], prediction, gold.kind)
        except Exception:
            return 0.0  # Their loop asks again until there is a score.

    def chartqapro(prediction: str, gold: Gold) -> float:
        row = {"Answer": [gold.answers[0]], "Question Type": gold.kind, "Year": list(gold.texts)}
        return pro.evaluate_predictions_chartqapro([row | {"prediction": prediction}])["Overall"]

    return {
        "anls": anls,
        "chartqapro": chartqapro,
        "mmlongbench_doc": mmlongbench,
        "relaxed_accuracy": lambda p, g: chart.relaxed_correctness(g.answers[0], p),
        "vqa_accuracy": lambda p, g: evaluator.eval_pred_list(
            [{"pred_answer": p, "gt_answers": list(g.answers)}]
        ),
    }


def _choices(root: Path) -> dict[str, Scorer]:
    mmmu = taken(root / "MMMU-Benchmark/MMMU/mmmu/utils/eval_utils.py")
    mme = taken(root / "BradyFU/Video-MME/evaluation/eval_your_results.py")
    second = taken(root / "MME-Benchmarks/Video-MME-v2/evaluation/test_video_mme_v2.py")
    mlvu = taken(
        root / "JUNJIE99/MLVU/evaluation/multiple_choice_evaluation/choice_bench.py", Dataset=object
    )
    notebook = json.loads((root / "OpenGVLab/Ask-Anything/video_chat2/mvbench.ipynb").read_text())
    cells = ("".join(cell["source"]) for cell in notebook["cells"])
    names: dict[str, Any] = {}
    exec(next(cell for cell in cells if cell.startswith("def check_ans")), names)
    mvbench = names["check_ans"]

    def right(gold: Gold) -> str:
        return f"({gold.answers[0]}) {gold.options[LETTERS.index(gold.answers[0])]}"

    def multiple(prediction: str, gold: Gold) -> float:
        by_letter = dict(zip(LETTERS, gold.options, strict=False))
        read = mmmu.parse_multi_choice_response(prediction, list(by_letter), by_letter)
        return mmmu.eval_multi_choice(gold.answers[0], read)

    return {
        "mlvu": lambda p, g: mlvu.check_ans(p, right(g)),
        "mmmu": multiple,
        "mmmu_open": lambda p, g: mmmu.eval_open(g.answers[0], mmmu.parse_open_response(p)),
        "mvbench": lambda p, g: mvbench(p, right(g)),
        "video_mme": lambda p, g: mme.extract_characters_regex(p) == g.answers[0],
        "video_mme_v2": lambda p, g: second.extract_characters_regex_v2(p) == g.answers[0],
    }


def _tempcompass(root: Path) -> dict[str, Scorer]:
    """Their scripts with `--disable_llm`: nobody is asked where the rules read nothing."""

    def scorer(task: str, row: Callable[[Gold], dict[str, Any]]) -> Scorer:
        script = taken(
            root / f"eval_{task}.py",
            open=lambda path, mode: nullcontext(StringIO()),
            os=types.SimpleNamespace(path=types.SimpleNamespace(expanduser=str)),
            tqdm=lambda values: values,
            print_result=lambda values: None,
        )

        def score(prediction: str, gold: Gold) -> float:
            ratings: dict[str, Any] = {}
            asked = {"1": {"speed": [row(gold) | {"prediction": prediction}]}}
            script.main(asked, ratings, "", True)
            return ratings["1"]["speed"][0]["rating"]

        return score

    return {
        "tempcompass": scorer("multi-choice", option_row),
        "tempcompass_captions": scorer("caption_matching", caption_row),
        "yes_no": scorer("yes_no", lambda g: {"question": "", "answer": g.answers[0]}),
    }


def _ocrbench(path: Path) -> Scorer:
    """The loop that grades stands bare in the script."""
    main = next(n for n in ast.parse(path.read_text("utf-8")).body if isinstance(n, ast.If))
    loops = [n for n in main.body if isinstance(n, ast.For) and "HME100k" in ast.unparse(n)]
    code = compile(ast.Module(body=loops[:1], type_ignores=[]), str(path), "exec")

    def score(prediction: str, gold: Gold) -> float:
        name = "HME100k" if gold.kind == "formula" else "x"
        row: dict[str, Any] = {"type": "", "dataset_name": name, "answers": list(gold.answers)}
        row["predict"] = prediction
        exec(code, {"data": [row]})
        return row["result"]

    return score


def _ocrbench_v2(root: Path) -> dict[str, Scorer]:
    sys.modules.setdefault("ipdb", types.ModuleType("ipdb"))
    sys.path.insert(0, str(root))
    evaluation = importlib.import_module("eval")
    evaluation.json = VALUES
    evaluation.open = lambda value, mode, encoding="": nullcontext(value)
    evaluation.tqdm = lambda values: values

    def score(prediction: str, gold: Gold) -> float:
        row = v2_row(prediction, gold) | ({"eval": gold.rule} if gold.rule else {})
        evaluation.process_predictions([row], "")
        return row["score"]

    return {name: score for name in MAKERS if name.startswith("ocrbench_v2/")}
