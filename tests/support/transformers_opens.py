"""Run as a program, without latentvlm: transformers opens a folder and answers requests.

    python transformers_opens.py FOLDER REQUESTS.json OUT.safetensors

Requests are lists of messages whose pictures are paths. Written are, for request i,
`i.input_ids`, `i.image_grid_hw`, `i.pixel_values`, `i.logits` and `i.generated`; the names
of missing and unexpected tensors are in the file's metadata.
"""

import json
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

NUM_GREEDY = 32


def main() -> None:
    folder, requests, out = sys.argv[1:4]
    processor = AutoProcessor.from_pretrained(folder)
    model, loading = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    model.eval()
    model.generation_config.eos_token_id = None
    results: dict[str, torch.Tensor] = {}
    with open(requests, encoding="utf-8") as file:
        conversations = json.load(file)
    for number, messages in enumerate(conversations):
        inputs = processor.apply_chat_template(
            messages,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            logits = model(**inputs).logits[0]
            ids = model.generate(**inputs, max_new_tokens=NUM_GREEDY, do_sample=False)[0]
        found = {key: value for key, value in inputs.items() if key != "attention_mask"}
        found["input_ids"] = found["input_ids"][0]
        found |= {"logits": logits, "generated": ids[-NUM_GREEDY:]}
        results |= {f"{number}.{key}": value.contiguous() for key, value in found.items()}
    assert "latentvlm" not in sys.modules
    names = {key: json.dumps(sorted(loading[f"{key}_keys"])) for key in ["missing", "unexpected"]}
    save_file(results, out, metadata=names)


if __name__ == "__main__":
    main()
