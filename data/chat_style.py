"""What a checkpoint's chat template offers beside plain turns: thinking, effort, tools.

All of it is read from the template itself, so a new family needs no entry here:

    a thought     the tags that the template writes around one, `<think>` and `</think>`
    its switch    the variable `enable_thinking` (Nemotron 3), or else the words `/think` and
                  `/no_think` that the template looks for in user and system messages and
                  deletes (Nemotron Nano 2, Nano V2 VL)
    less of it    the variable `low_effort` (Nemotron 3 Super)
    tools         the variable `tools`, and the tags around a call
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ..errors import PromptError
from .chat import ChatTemplate

THINK, NO_THINK = "/think", "/no_think"


class Tags(NamedTuple):
    """What opens and what closes a part of an answer."""

    open: str
    close: str


THOUGHT_TAGS = Tags("<think>", "</think>")
CALL_TAGS = (Tags("<TOOLCALL>", "</TOOLCALL>"), Tags("<tool_call>", "</tool_call>"))


@dataclass(frozen=True, kw_only=True)
class ChatStyle:
    """What one chat template can be asked for.

    Attributes:
        thought: the tags around a thought; None where the model does not think aloud.
        switch: how thinking is turned on and off; None where it cannot be.
        has_low_effort: whether a short thought can be asked for.
        takes_tools: whether tools can be described to the model.
        calls: the tags that may stand around its tool calls.
        has_xml_calls: whether a call is `<function=...>` with parameters, and not JSON.
    """

    thought: Tags | None = None
    switch: Literal["variable", "words"] | None = None
    has_low_effort: bool = False
    takes_tools: bool = False
    calls: tuple[Tags, ...] = ()
    has_xml_calls: bool = False

    @classmethod
    def read(cls, template: ChatTemplate) -> "ChatStyle":
        """What `template` mentions."""
        names, source = template.variables, template.source
        thinks = all(tag in source for tag in THOUGHT_TAGS)
        if not thinks:
            switch = None
        elif "enable_thinking" in names:
            switch = "variable"
        else:
            switch = "words" if NO_THINK in source else None
        return cls(
            thought=THOUGHT_TAGS if thinks else None,
            switch=switch,
            has_low_effort="low_effort" in names,
            takes_tools="tools" in names,
            calls=tuple(tags for tags in CALL_TAGS if tags.open in source),
            has_xml_calls="<function=" in source,
        )

    def check_thinks(self) -> None:
        """Raises PromptError if the model does not think aloud."""
        if self.thought is None:
            raise PromptError(
                "This checkpoint does not think aloud, as its chat template has no place for a "
                "thought; ask without thinking."
            )

    def options(
        self, *, thinking: bool | None, low_effort: bool, tools: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """What the template is to be rendered with, beside the messages.

        Raises:
            PromptError: the template has no place for something that is asked for.
        """
        if thinking or low_effort:
            self.check_thinks()
        if low_effort and not self.has_low_effort:
            raise PromptError(
                "This checkpoint's chat template has no low_effort; give a thinking_budget instead."
            )
        if low_effort and thinking is False:
            raise PromptError("low_effort asks for a short thought, but thinking is off.")
        if tools and not self.takes_tools:
            raise PromptError(
                "This checkpoint's chat template has no place for tools; ask without them."
            )
        found: dict[str, Any] = {}
        if thinking is not None and self.switch == "variable":
            found["enable_thinking"] = thinking
        if low_effort:
            found["low_effort"] = True
        if tools:
            found["tools"] = list(tools)
        return found

    def switched(
        self, messages: Sequence[dict[str, Any]], thinking: bool | None
    ) -> Sequence[dict[str, Any]]:
        """The messages with the one switch word that says `thinking`, where words say it.

        Words that stand in the messages are taken out, as the template itself would do.
        """
        if thinking is None or self.switch != "words":
            return messages
        found = [
            {**message, "content": _without_words(message.get("content"))}
            if message["role"] in ("user", "system")
            else message
            for message in messages
        ]
        # The template deletes the word from every user message, but not from every system one.
        for role in ("user", "system"):
            for idx in reversed(range(len(found))):
                if found[idx]["role"] == role:
                    word = THINK if thinking else NO_THINK
                    content = _with_word(found[idx]["content"], word)
                    found[idx] = {**found[idx], "content": content}
                    return found
        return found

    def check_prompt(self, prompt: str, thinking: bool | None) -> bool:
        """Whether a rendered prompt ends inside a thought.

        Raises:
            PromptError: that is not what `thinking` says.
        """
        if self.thought is None:
            return False
        end = prompt.rstrip()
        is_open = end.endswith(self.thought.open)
        if thinking is False and (is_open or self.switch is None):
            raise PromptError(
                "This checkpoint's chat template has no switch that turns thinking off."
            )
        # Where the template leaves it to the model to begin, a switch is all there is to go by.
        is_on = is_open or (self.switch is not None and not end.endswith(self.thought.close))
        if thinking and not is_on:
            raise PromptError(
                "This checkpoint's chat template has no switch that turns thinking on."
            )
        return is_open


def _without_words(content: Any) -> Any:
    if isinstance(content, str):
        return content.replace(THINK, "").replace(NO_THINK, "")
    return [
        {**part, "text": _without_words(part["text"])} if part["type"] == "text" else part
        for part in content
    ]


def _with_word(content: Any, word: str) -> Any:
    if isinstance(content, str):
        return content + word
    texts = [idx for idx, part in enumerate(content) if part["type"] == "text"]
    if not texts:
        return [*content, {"type": "text", "text": word}]
    last = {**content[texts[-1]], "text": content[texts[-1]]["text"] + word}
    return [*content[: texts[-1]], last, *content[texts[-1] + 1 :]]
