"""Models that need no weights: they know the truth, or nothing."""

from collections.abc import Callable, Iterable, Iterator

from latentvlm.eval.samples import Request, Response, Sample


class FakeResponder:
    """Answers with whatever a function makes of the request; it counts what it was asked."""

    def __init__(self, answer: Callable[[Request], str | Response], name: str = "fake"):
        self.name = name
        self.answer = answer
        self.asked: list[str] = []

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        for request in requests:
            self.asked.append(request.id)
            answer = self.answer(request)
            yield answer if isinstance(answer, Response) else Response(id=request.id, text=answer)


def truth_teller(samples: Iterable[Sample], confidence: float | None = None) -> FakeResponder:
    """Has every answer right, whatever the picture shows."""
    golds = {sample.id: sample.golds[0] for sample in samples}

    def answer(request: Request) -> Response:
        text = golds[request.id.split("#")[0]]
        return Response(id=request.id, text=text, confidence=confidence)

    return FakeResponder(answer, "truth")
