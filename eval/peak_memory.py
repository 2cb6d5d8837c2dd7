"""Peak memory of one side reading one prompt, each in a process of its own.

python -m latentvlm.eval.peak_memory PRESET SIDE TOKENS THREADS    (prints bytes)
"""

import subprocess
import sys

from ..errors import BackendError


def peak_memory(preset_name: str, side: str, tokens: int, threads: int) -> int:
    """The most memory a process that reads the prompt needs beyond what it held before reading.

    Both sides hold the same weights once; what is counted is what reading adds: activations,
    caches and temporary copies.

    Args:
        side: "latentvlm" or "transformers".

    Returns:
        Bytes.

    Raises:
        BackendError: the process failed; the message ends with its last line.
    """
    command = [sys.executable, "-W", "ignore", "-m", __name__]
    done = subprocess.run(
        [*command, preset_name, side, str(tokens), str(threads)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise BackendError(f"Measuring the peak memory of {side} failed: {lines[-1]}")
    return int(done.stdout.split()[-1])


def measure_here(preset_name: str, side: str, tokens: int, threads: int) -> int:
    """`peak_memory`, in this process."""
    import torch

    from ..vlm.config import VisionLanguageConfig
    from ..vlm.language_model import LanguageModel
    from ..vlm.presets import preset
    from .contenders import Ours, Transformers
    from .machine import forget_peak, resident_bytes

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    chosen = preset(preset_name)
    text = chosen.text if isinstance(chosen, VisionLanguageConfig) else chosen
    model = LanguageModel(text).eval()
    reader = Ours(model) if side == "latentvlm" else Transformers(model)
    draw = torch.Generator().manual_seed(0)
    # a short prompt first: libraries allocate on their first call
    reader.prefill(torch.randint(0, text.vocab_size, (1, 32), generator=draw))
    before = resident_bytes()
    forget_peak()
    reader.prefill(torch.randint(0, text.vocab_size, (1, tokens), generator=draw))
    return resident_bytes(peak=True) - before


if __name__ == "__main__":
    name, which, length, count = sys.argv[1:]
    print(measure_here(name, which, int(length), int(count)))
