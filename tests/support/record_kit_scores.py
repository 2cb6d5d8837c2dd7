"""Record what a kit's own functions give to the pairs of `metric_pairs.py`.

    python tests/support/record_kit_scores.py lmms-eval CHECKOUT tests/eval/kit_scores
    python tests/support/record_kit_scores.py vlmevalkit CHECKOUT tests/eval/kit_scores
    python tests/support/record_kit_scores.py vlmevalkit CHECKOUT tests/eval/kit_scores COMMIT anls

The last records one metric anew and keeps the others. CHECKOUT is a checkout of the kit. Only the
functions named here are taken out of its files and run, so the kit need not be installed;
ChartQAPro's need anls; OCRBench v2's apted, distance, editdistance, jieba, Levenshtein, lxml, nltk
with its WordNet, pandas, Polygon3 and zss.

Written: `KIT.npz` with the scores of every metric, -1 where the kit drew an answer at random (with
its own seed, 42) and NaN where it failed, and the kit's commit; and `language.json.gz` with what
jieba and WordNet say of the pairs' words, so that nobody else needs these.
"""

import __future__

import ast
import gzip
import importlib.util
import json
import math
import random
import re
import string
import subprocess
import sys
import types
from collections.abc import Callable
from contextlib import chdir, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional

import numpy as np
from metric_pairs import MAKERS, pairs

from latentvlm.eval.metrics import Gold

COUNT = 5000
RANDOM = -1.0


class Guess(Exception):
    """The kit drew an answer at random."""


class SpiedRandom(random.Random):
    def choice(self, seq: Any) -> Any:
        super().choice(seq)
        raise Guess


def taken(path: Path, **known: Any) -> types.SimpleNamespace:
    """The functions and classes of a kit's file, without what its imports and actions would do."""
    names: dict[str, Any] = {"re": re, "np": np, "string": string, "math": math, "ast": ast}
    names |= {"Any": Any, "random": SpiedRandom(42), "json": json, **known}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
        elif not isinstance(node, ast.ClassDef) and "VERBOSE_ANSWER" not in ast.unparse(node):
            continue
        code = compile(
            ast.Module(body=[node], type_ignores=[]),
            str(path),
            "exec",
            flags=__future__.annotations.compiler_flag,
        )
        # What needs a package that is not here is none of what is asked for.
        with suppress(NameError):
            exec(code, names)
    return types.SimpleNamespace(**names)


def quiet(scorer: Callable[[str, Gold], float]) -> Callable[[str, Gold], float]:
    def score(prediction: str, gold: Gold) -> float:
        try:
            with redirect_stdout(StringIO()):
                return float(scorer(prediction, gold))
        except Guess:
            return RANDOM
        except Exception as error:
            print(f"failed on {prediction!r}, {gold}: {error!r}", file=sys.stderr)
            return math.nan

    return score


def as_package(root: Path, package: str) -> Callable[[str], Any]:
    """Import a kit's modules without running the `__init__` files above them."""
    folder = root
    for part in package.split("."):
        folder /= part
        name = ".".join(folder.relative_to(root).parts)
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    sys.modules.setdefault("ipdb", types.ModuleType("ipdb"))
    return lambda name: importlib.import_module(f"{package}.{name}")


def v2_row(prediction: str, gold: Gold) -> dict[str, Any]:
    boxes: Any = [list(box) for box in gold.boxes]
    one = "grounding" in gold.kind or "position" in gold.kind
    row = {"type": gold.kind, "question": gold.question, "predict": prediction}
    row["answers"] = boxes[0] if "grounding" in gold.kind else list(gold.answers)
    row |= {"bbox": boxes[0] if one else boxes, "bbox_list": boxes, "content": list(gold.texts)}
    return row


def option_row(gold: Gold) -> dict[str, Any]:
    """A question of TempCompass as its file has it."""
    lines = [f"{a}. {b}" for a, b in zip("ABCD", gold.options, strict=False)]
    right = lines["ABCD".index(gold.answers[0])]
    return {"question": "\n".join(["What?", *lines]), "answer": right}


def judged(prompt: str) -> tuple[str, int]:
    """In place of the judge model that a kit asks where its rules read nothing: it says no."""
    return "Incorrect", 0


def lmms_eval(root: Path) -> dict[str, Callable[[str, Gold], float]]:
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

    scorers = {
        "ai2d": ai2d_score,
        "chartqapro": chartqapro,
        "choice": lambda p, g: ranked(p, choices=list("ABCDE"[: len(g.options)])) == g.answers[0],
        "egoschema": egoschema,
        "tempcompass": tempcompass("multi_choice", option_row),
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
        # The authors' way through the same two functions, which this kit does not take.
        "official/mmmu_open": lambda p, g: mmmu.eval_open(
            g.answers[0], mmmu.parse_open_response(p)
        ),
    }
    v2 = {name: ocrbench_v2 for name in MAKERS if name.startswith("ocrbench_v2/")}
    return {**scorers, **v2}


def vlmevalkit(root: Path) -> dict[str, Callable[[str, Gold], float]]:
    import copy
    import os
    from collections import Counter

    import pandas

    utils = root / "vlmeval/dataset/utils"
    misc = taken(root / "vlmeval/smp/misc.py", Optional=Optional)
    vlm = taken(root / "vlmeval/smp/vlm.py", Image=types.SimpleNamespace(Image=None))
    punctuation = getattr(vlm, "process_punctuation", None) or misc.process_punctuation
    vqa = taken(
        utils / "vqa_eval.py",
        istype=misc.istype,
        listinstr=misc.listinstr,
        process_punctuation=punctuation,
        Optional=Optional,
    )
    matching = taken(
        root / "vlmeval/utils/matching_util.py", cp=copy, os=os, Counter=Counter, re=re
    )
    can_infer = matching.can_infer

    def extract(model: None, item: dict[str, Any], dataset_name: str = "") -> dict[str, Any]:
        return choice.extract_answer_from_item(model, item, dataset_name)

    choice = taken(
        utils / "multiple_choice.py",
        can_infer=can_infer,
        build_option_str=str,
        logger=types.SimpleNamespace(info=lambda text: None),
        pd=pandas,
        cn_string=lambda text: False,
        rd=SpiedRandom(42),
    )
    video = taken(utils / "videomme.py", extract_answer_from_item=extract)
    long = taken(utils / "longvideobench.py", extract_answer_from_item=extract)
    mlvu = taken(utils / "mlvu.py", extract_answer_from_item=extract)
    mvbench_file = utils / "mvbench.py"
    keep = ast.parse(mvbench_file.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"extract_answer_from_item": extract}
    keep.body = [n for n in keep.body if getattr(n, "name", "") == "check_ans_with_model"]
    exec(compile(keep, str(mvbench_file), "exec"), names)
    document = taken(
        root / "vlmeval/dataset/mmlongbenchdoc.py",
        levenshtein_distance=vqa.levenshtein_distance,
        ImageBaseDataset=object,
    )

    def vqa_score(name: str, method: str) -> Callable[[str, Gold], float]:
        def score(prediction: str, gold: Gold) -> float:
            line = {"answer": str(list(gold.answers)), "prediction": prediction}
            return vqa.hit_calculate([vqa.process_line(line, method)], name)[0]

        return score

    def item(prediction: str, gold: Gold) -> dict[str, Any]:
        options = dict(zip(string.ascii_uppercase, gold.options, strict=False))
        lines = [f"{letter}. {text}" for letter, text in options.items()]
        question = "\n".join(["What?", *lines])
        row = {"prediction": prediction, "question": question, "answer": gold.answers[0]}
        return row | {"GT": gold.answers[0]} | options

    def vanilla(prediction: str, gold: Gold) -> float:
        return choice.eval_vanilla(None, item(prediction, gold))["hit"]

    def by_letter(find: Any, option: Any) -> Callable[[str, Gold], float]:
        def score(prediction: str, gold: Gold) -> float:
            row = item(prediction, gold)
            bare = {key: value for key, value in row.items() if len(key) > 1}
            letter = find(prediction) or option(None, bare, "Video-MME")
            return letter == gold.answers[0]

        return score

    def with_option(check: Any) -> Callable[[str, Gold], float]:
        def score(prediction: str, gold: Gold) -> float:
            row = item(prediction, gold)
            right = f"({gold.answers[0]}) {row[gold.answers[0]]}"
            return check(prediction, right, None, row)

        return score

    def mmmu_open(prediction: str, gold: Gold) -> float:
        table = pandas.DataFrame([{"A": None, "B": None, "answer": gold.answers[0]}])
        row = choice.MMMU_preproc(table).iloc[0]
        options = (row["A"], row["B"])
        return vanilla(prediction, Gold(answers=("A",), options=options))

    def mmlongbench(prediction: str, gold: Gold) -> float:
        try:
            return document.eval_score(gold.answers[0], prediction, gold.kind)
        except Exception:
            return 0.0

    def ocrbench(prediction: str, gold: Gold) -> float:
        formula = "Handwritten Mathematical Expression Recognition"
        category = formula if gold.kind == "formula" else "Doc-oriented VQA"
        row = {"prediction": prediction, "answer": str(list(gold.answers)), "category": category}
        written: dict[str, float] = {}
        old = taken(
            utils / "ocrbench.py",
            load=lambda file: pandas.DataFrame([row]),
            dump=lambda scores, path: written.update(scores),
            get_intermediate_file_path=lambda *names: "",
            logger=types.SimpleNamespace(info=lambda text: None),
            tqdm=lambda numbers: numbers,
        )
        old.OCRBench_eval("")
        return written["Final Score"]

    load = as_package(root, "vlmeval.dataset.utils")
    as_package(root, "vlmeval.dataset.utils.Ocrbench_v2")
    second = load("ocrbrnch_v2_eval")
    second.tqdm = lambda rows: rows

    def ocrbench_v2(prediction: str, gold: Gold) -> float:
        row = v2_row(prediction, gold) | ({"eval": gold.rule} if gold.rule else {})
        return second.process_predictions([row])[0]["score"]

    from anls import anls_score

    pro = taken(utils / "chartqapro.py", Optional=Optional, List=list)
    # The function imports its measure where it runs.
    pro_scores = pro.evaluate_predictions_chartqapro
    temp = taken(
        utils / "tempcompass.py",
        **{f"system_prompt_{name}": "" for name in ("multi_choice", "caption_matching", "YorN")},
    )

    def chartqapro(prediction: str, gold: Gold) -> float:
        assert anls_score
        row = {"Answer": [gold.answers[0]], "Question Type": gold.kind, "Year": list(gold.texts)}
        return pro_scores([row | {"prediction": prediction}])["Overall"]

    def tempcompass(prediction: str, gold: Gold) -> float:
        row = option_row(gold) | {"prediction": prediction, "candidates": []}
        return temp.evaluate_tempcompass_mcq(None, row | {"task_type": "multi-choice"})["rating"]

    def yes_no(prediction: str, gold: Gold) -> float:
        row = {"question": "", "answer": gold.answers[0], "prediction": prediction}
        return temp.evaluate_tempcompass_YorN(None, row)["rating"]

    scorers = {
        "ai2d": vanilla,
        "chartqapro": chartqapro,
        "choice": vanilla,
        "tempcompass": tempcompass,
        "yes_no": yes_no,
        "anls": vqa_score("DocVQA", "anls"),
        "longvideobench": by_letter(long.extract_characters_regex, long.extract_option),
        "mlvu": with_option(mlvu.check_ans_with_model),
        "mmlongbench_doc": mmlongbench,
        "mmmu": vanilla,
        "mmmu_open": mmmu_open,
        "mvbench": with_option(names["check_ans_with_model"]),
        "ocrbench": ocrbench,
        "relaxed_accuracy": vqa_score("ChartQA", "relaxed_accuracy"),
        "video_mme": by_letter(video.extract_characters_regex, video.extract_option),
        "video_mme_v2": by_letter(video.extract_characters_regex_v2, video.extract_option),
        "vqa_accuracy": vqa_score("TextVQA", "vqa_score"),
    }
    v2 = {name: ocrbench_v2 for name in MAKERS if name.startswith("ocrbench_v2/")}
    return {**scorers, **v2}


def language_of_the_pairs() -> dict[str, Any]:
    import jieba
    from nltk.corpus import wordnet
    from nltk.stem.porter import PorterStemmer

    stem = PorterStemmer().stem
    cuts: dict[str, list[str]] = {}
    words: set[str] = set()
    for prediction, gold in pairs("ocrbench_v2/page_text", COUNT):
        texts = (prediction, gold.answers[0])
        is_chinese = any("\u4e00" <= char <= "\u9fa5" for text in texts for char in text)
        for text in texts:
            if is_chinese:
                cuts[text] = jieba.lcut(text)
            words |= {word.lower() for word in (cuts[text] if is_chinese else text.split())}
    stems = {word: stem(word) for word in words}
    known = set(stems.values())
    synonyms = {}
    for word in sorted(known):
        names = {name for entry in wordnet.synsets(word) for name in entry.lemma_names()}
        if same := sorted((names & known) - {word}):
            synonyms[word] = same
    changed = {word: stem for word, stem in sorted(stems.items()) if word != stem}
    return {"cuts": cuts, "stems": changed, "synonyms": synonyms}


def main(argv: list[str]) -> None:
    kit, root, out = argv[0], Path(argv[1]).resolve(), Path(argv[2]).resolve()
    commit = argv[3] if len(argv) > 3 else ""
    only = argv[4:]
    if not commit:
        asked = ["git", "-C", str(root), "rev-parse", "HEAD"]
        commit = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    scorers = {"lmms-eval": lmms_eval, "vlmevalkit": vlmevalkit}[kit](root)
    file = out / f"{kit.replace('-', '_')}.npz"
    arrays: dict[str, np.ndarray] = {"commit": np.array(commit)}
    if only:
        with np.load(file) as old:
            arrays = dict(old) | arrays
        scorers = {name: scorers[name] for name in only}
    for name, scorer in scorers.items():
        score = quiet(scorer)
        # Spotting leaves files where it runs.
        with TemporaryDirectory() as folder, chdir(folder):
            values = [score(*pair) for pair in pairs(name.removeprefix("official/"), COUNT)]
        levels, places = np.unique(np.array(values), return_inverse=True)
        arrays[f"{name}:levels"] = levels
        arrays[f"{name}:places"] = places.astype(np.uint16)
        print(f"{name}: {len(levels)} levels, mean {np.mean(values):.4f}", file=sys.stderr)
    out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, **arrays)
    if kit == "lmms-eval" and not only:
        text = json.dumps(language_of_the_pairs(), ensure_ascii=False, sort_keys=True)
        with gzip.GzipFile(out / "language.json.gz", "wb", mtime=0) as file:
            file.write(text.encode("utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
