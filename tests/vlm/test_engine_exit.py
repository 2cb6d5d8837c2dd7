"""An engine that nobody closes ends with its process, wherever its thread is."""

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import sys
import latentvlm

vlm = latentvlm.load(sys.argv[1], device="cpu")
generation = latentvlm.GenerationConfig(max_tokens=1000)
engine = vlm.new_engine(max_batch=2)
streams = [engine.stream("Go on.", generation=generation) for _ in range(2)]
next(iter(streams[0]))
print("left", flush=True)
"""


def test_a_script_may_end_in_the_middle_of_an_answer(tiny_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tiny_folder)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (0, "left\n"), done.stderr[-2000:]
