"""Record what the functions of the kits, and of the benchmarks' authors, give to the same pairs.

    python tests/support/record_kit_scores.py lmms-eval CHECKOUT tests/eval/kit_scores
    python tests/support/record_kit_scores.py vlmevalkit CHECKOUT tests/eval/kit_scores
    python tests/support/record_kit_scores.py authors CHECKOUTS tests/eval/kit_scores
    python tests/support/record_kit_scores.py vlmevalkit CHECKOUT tests/eval/kit_scores COMMIT anls

The last records one metric anew and keeps the others. CHECKOUT is a checkout of the kit; CHECKOUTS
is a folder with one of each repository of `kit_code/commits.py`, at the commit that is named there.
Only the functions that `kit_code/` names are taken out of the files and run, so nothing of a kit
need be installed; ChartQAPro's need anls; OCRBench v2's apted, distance, editdistance, jieba,
Levenshtein, lxml, nltk with its WordNet, pandas, Polygon3 and zss.

Written: `KIT.npz` with the scores of every metric of the pairs of `metric_pairs.py`, -1 where the
kit drew an answer at random (with its own seed, 42) and NaN where it failed, and the kit's commit;
and `language.json.gz` with what jieba and WordNet say of the pairs' words, so that nobody else
needs these.
"""

import gzip
import json
import math
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from kit_code import authors, commits, lmms_eval, vlmevalkit
from kit_code.language import language_of_the_pairs
from kit_code.taken import Guess
from metric_pairs import pairs

from latentvlm.eval.metrics import Gold

COUNT = 5000
RANDOM = -1.0
KITS = {"lmms-eval": lmms_eval, "vlmevalkit": vlmevalkit, "authors": authors}


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


def main(argv: list[str]) -> None:
    kit, root, out = argv[0], Path(argv[1]).resolve(), Path(argv[2]).resolve()
    commit = argv[3] if len(argv) > 3 else ""
    only = argv[4:]
    if kit == "authors":
        commit = commits.authors()
    elif not commit:
        asked = ["git", "-C", str(root), "rev-parse", "HEAD"]
        commit = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    scorers = KITS[kit].scorers(root)
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
            values = [score(*pair) for pair in pairs(name, COUNT)]
        levels, places = np.unique(np.array(values), return_inverse=True)
        arrays[f"{name}:levels"] = levels
        arrays[f"{name}:places"] = places.astype(np.uint16)
        print(f"{name}: {len(levels)} levels, mean {np.mean(values):.4f}", file=sys.stderr)
    out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, **arrays)
    if kit == "lmms-eval" and not only:
        text = json.dumps(language_of_the_pairs(COUNT), ensure_ascii=False, sort_keys=True)
        with gzip.GzipFile(out / "language.json.gz", "wb", mtime=0) as file:
            file.write(text.encode("utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
