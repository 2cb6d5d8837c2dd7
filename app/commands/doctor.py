"""`latentvlm doctor`: what this machine has, what is used of it, what to install."""

from typing import Annotated, Any

import typer

from ..progress import waiting
from ..units import size


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say in one screen what this machine has, which kernels run, what could be installed.

    Example: latentvlm doctor
    """
    from ..checkup import check

    with waiting("looking"):
        found = check()
    if json:
        from json import dumps

        print(dumps(found))
        return
    for line in lines(found):
        print(line)


def lines(found: dict[str, Any]) -> list[str]:
    """The checkup as one screen."""
    cpu = found["cpu"]
    bfloat16 = "multiplies bfloat16" if cpu["multiplies_bfloat16"] else "no bfloat16 units"
    memory, free = found["memory_bytes"], found["memory_free_bytes"]
    held = "unknown" if memory is None else size(memory)
    shown = [
        f"latentvlm   {found['latentvlm']}, torch {found['torch']}, Python {found['python']}, "
        f"{found['system']}",
        f"processor   {cpu['cores']} cores, {cpu['threads']} threads, {cpu['instructions']}, "
        f"{bfloat16}",
        f"memory      {held}" + ("" if free is None else f", {size(free)} free"),
        "GPU         "
        + (
            "; ".join(
                f"{gpu['name']}, {size(gpu['memory_bytes'])}, capability {gpu['capability']}"
                for gpu in found["gpus"]
            )
            or "none that PyTorch sees"
        ),
        f"runs on     {found['runs_on']}, in {found['dtype']} where a checkpoint is bfloat16",
        f"kernels     {found['kernels']}",
    ]
    for number, part in enumerate(found["parts"]):
        label = "optional" if number == 0 else ""
        state = part["found"] or f"missing: {part['install']}"
        shown.append(f"{label:<12}{part['name']} ({part['purpose']}): {state}")
    for sees, label in ((True, "could see"), (False, "could read")):
        names = [
            f"{each['name']} ({size(each['bytes'])})"
            for each in found["fits"]
            if each["sees"] == sees
        ]
        what = "larger models for pages" if sees else "larger models for text"
        shown.append(f"{label:<12}{what} that fit: {', '.join(names[:5]) or 'none'}")
    return shown
