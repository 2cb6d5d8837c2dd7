"""Run as a program: export a folder while memory may grow by so many bytes and no more.

    python export_in_little_memory.py FOLDER OUT BYTES

The system refuses every further page of data (RLIMIT_DATA: the heap and private writable memory).
RLIMIT_AS would count the gigabytes of address space that torch's libraries take before anything
is read. The libraries are imported, and warmed up, before the limit is set.
"""

import json
import resource
import sys

import torch

from latentvlm.errors import LatentVLMError
from latentvlm.vlm.export.export import export


def data_bytes() -> int:
    """What counts against RLIMIT_DATA now."""
    with open("/proc/self/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return 1024 * int(fields["VmData"].split()[0])


def main() -> None:
    folder, out, more = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(1)
    torch.randn(64, 64) @ torch.randn(64, 64)
    limit = data_bytes() + more
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        torch.empty(more + (1 << 20), dtype=torch.uint8)
    except RuntimeError:
        pass
    else:
        raise SystemExit("the limit does not hold")
    try:
        made = export(folder, out, recipe="nano-nvfp4", num_prompts=1, num_held_out=1)
    except LatentVLMError as error:
        print(json.dumps({"refused": str(error)}))
    else:
        print(json.dumps({"holds": made.proof.holds, "costs": made.proof.costs}))


if __name__ == "__main__":
    main()
