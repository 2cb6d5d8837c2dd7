"""How likely a given answer is, token by token, in one forward."""

from collections.abc import Sequence

import torch

from ..data.chat import Message
from ..data.model_inputs import IGNORED_LABEL
from ..data.processor import Processor
from ..errors import CheckpointError, PromptError
from ..token_reduction.evs import EVSConfig
from .answer import Score
from .prompt import Model, embed_prompt, inputs_on_device, language_model


@torch.inference_mode()
def score_answer(
    model: Model,
    processor: Processor,
    messages: Sequence[Message],
    answer: str,
    *,
    evs: EVSConfig | None = None,
) -> Score:
    """The log-probability of an answer to a conversation.

    The answer is rendered and labelled by the lines that training uses, so its tokens are
    those the model was taught; its end token is scored apart.

    Raises:
        PromptError: the answer is no text, or the conversation cannot be asked.
        CheckpointError: the checkpoint's chat template does not end answers.
    """
    if not isinstance(answer, str):
        raise PromptError(f"The answer to score is a {type(answer).__name__}, not a text.")
    turn = {"role": "assistant", "content": answer}
    inputs = processor.encode_conversation([*messages, turn], evs=evs)
    embeds_TD, inputs = embed_prompt(model, inputs_on_device(model, inputs))
    assert inputs.labels is not None
    # Of several assistant turns only the last is scored.
    learnt = (inputs.labels != IGNORED_LABEL).nonzero()[:, 0].tolist()
    gaps = [i for i in range(1, len(learnt)) if learnt[i] > learnt[i - 1] + 1]
    places = learnt[gaps[-1] if gaps else 0 :]
    if int(inputs.input_ids[places[-1]]) != processor.turn_end_id:
        raise CheckpointError(
            "The chat template does not end an answer with the tokenizer's end token, so answers "
            "cannot be scored."
        )
    trunk = language_model(model)
    hidden_TD = trunk(embeds_TD)
    logits_AV = trunk.logits(hidden_TD[[at - 1 for at in places]])
    ids = inputs.input_ids[places].to(logits_AV.device)
    chosen = logits_AV.log_softmax(-1).gather(1, ids[:, None])[:, 0].tolist()
    *logprobs, end_logprob = chosen
    return Score(
        total=sum(logprobs),
        logprobs=tuple(logprobs),
        end_logprob=end_logprob,
        token_ids=tuple(ids[:-1].tolist()),
    )
