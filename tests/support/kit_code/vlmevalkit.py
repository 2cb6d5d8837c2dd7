"""VLMEvalKit's score of a pair, by metric; no judge model."""

import ast
import re
import string
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from metric_pairs import MAKERS

from latentvlm.eval.metrics import Gold

from .rows import caption_row, option_row, v2_row
from .taken import SpiedRandom, as_package, taken


def scorers(root: Path) -> dict[str, Callable[[str, Gold], float]]:
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

    def captions(prediction: str, gold: Gold) -> float:
        row = caption_row(gold) | {"prediction": prediction, "task_type": "caption_matching"}
        return temp.evaluate_tempcompass_mcq(None, row)["rating"]

    def yes_no(prediction: str, gold: Gold) -> float:
        row = {"question": "", "answer": gold.answers[0], "prediction": prediction}
        return temp.evaluate_tempcompass_YorN(None, row)["rating"]

    found = {
        "ai2d": vanilla,
        "chartqapro": chartqapro,
        "choice": vanilla,
        "tempcompass": tempcompass,
        "tempcompass_captions": captions,
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
    return {**found, **v2}
