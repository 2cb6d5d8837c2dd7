"""A run in a process of its own, to be killed: FOLDER DATA SECONDS.

Its model writes down what it is asked before it answers, and answers with the question's words.
"""

import sys
import time
from pathlib import Path

from support.responders import FakeResponder

from latentvlm.eval.benchmarks import BENCHMARKS, load_benchmark
from latentvlm.eval.evaluate import evaluate
from latentvlm.eval.manifest import make_manifest
from latentvlm.eval.runner import Share
from latentvlm.eval.samples import Request


def main(folder: str, data: str, seconds: str) -> None:
    asked = Path(folder) / "asked.txt"
    asked.parent.mkdir(parents=True, exist_ok=True)

    def answer(request: Request) -> str:
        with asked.open("a") as file:
            file.write(request.id + "\n")
        time.sleep(float(seconds))
        return request.question

    loaded = load_benchmark(BENCHMARKS["folder"], data)
    manifest = make_manifest(loaded, model={"name": "slow"}, decoding={}, shown={})
    result = evaluate(
        loaded, FakeResponder(answer, "slow"), folder, manifest, share=Share.of_environment()
    )
    print("whole" if result else "part")


if __name__ == "__main__":
    main(*sys.argv[1:])
