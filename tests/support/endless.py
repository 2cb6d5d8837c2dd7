"""A model of text that thinks, then answers without an end: for what is stopped."""

import time
from dataclasses import replace

import torch
from torch import Tensor

from latentvlm.data.processor import Processor
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.presets import tiny

THOUGHT, ANSWER = "thinkgso", "ABCDEFG."


class EndlessModel(LanguageModel):
    """After each token comes the one that follows it in a chain: a thought, then an answer that has
    no end. It takes its time, so that there is some to stop it in.

    A token's id is its hidden state; the caches are real ones.
    """

    def __init__(self, processor: Processor) -> None:
        super().__init__(replace(tiny().text, num_nextn_predict_layers=0))
        thought, answer = ([processor.encode(c)[-1] for c in text] for text in (THOUGHT, ANSWER))
        closed = processor.encode("</think>")
        assert len({*thought, *closed, *answer}) == len(thought) + 1 + len(answer)
        chain = [*thought, *closed, *answer, answer[0]]
        self._after = dict(zip(chain, chain[1:], strict=False))
        self._first = thought[0]

    def embed(self, input_ids: Tensor) -> Tensor:
        hidden = torch.zeros(len(input_ids), self.config.hidden_size)
        hidden[:, 0] = input_ids.float()
        return hidden

    def forward(self, inputs_embeds: Tensor, *, cu_seqlens=None, cache=None) -> Tensor:
        super().forward(inputs_embeds, cu_seqlens=cu_seqlens, cache=cache)
        time.sleep(0.02)
        return inputs_embeds

    def logits(self, hidden: Tensor) -> Tensor:
        scores = torch.zeros(hidden.shape[0], self.config.vocab_size)
        for row, idx in enumerate(hidden[:, 0].long().tolist()):
            scores[row, self._after.get(idx, self._first)] = 9.0
        return scores
