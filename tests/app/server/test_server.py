"""The server, asked by OpenAI's own client and by hand."""

import json
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import openai
import pytest
from support.openai_requests import create, data_url, image, page, png, post, user
from support.pdf_files import page_pdf

from latentvlm.app.server import fetch as fetch_module
from latentvlm.app.server.config import ServerConfig
from latentvlm.app.server.errors import RequestError
from latentvlm.app.server.fetch import fetch, is_public
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.sampling import GenerationConfig

SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "integer", "maximum": 99, "minimum": 0}},
    "required": ["number"],
    "additionalProperties": False,
}


def test_chat_answers_as_ask_does(server) -> None:
    document = page_pdf((60, 36), (36, 60))
    file = {"filename": "a.pdf", "file_data": data_url(document, "application/pdf")}
    messages = user("Which?", image(png(page())), {"type": "file", "file": file})
    found = create(server.client(), messages, logprobs=True, top_logprobs=3)
    alone = server.vlm.ask(
        "Which?", page(), document, generation=GenerationConfig(max_tokens=8, top_logprobs=3)
    )
    choice = found.choices[0]
    assert choice.message.content == alone.text
    assert choice.finish_reason == "length"
    usage = found.usage.model_dump()
    assert usage["prompt_tokens"] == alone.usage.prompt_tokens
    assert usage["completion_tokens"] == alone.usage.answer_tokens
    assert usage["prompt_tokens_details"]["visual_tokens"] == alone.usage.visual_tokens
    before = usage["prompt_tokens_details"]["visual_tokens_before"]
    assert before == alone.usage.visual_tokens_before
    told = choice.logprobs.content
    assert [each.logprob for each in told] == pytest.approx(alone.logprobs, abs=2e-3)
    assert all(len(each.top_logprobs) == 3 for each in told)
    assert told[0].token == told[0].top_logprobs[0].token
    assert choice.model_dump()["latentvlm"]["confidence"] == pytest.approx(
        alone.confidence, abs=1e-3
    )


def test_chat_streams_what_it_would_answer(server) -> None:
    options = {"temperature": 1.2, "seed": 5, "max_tokens": 20, "n": 2}
    whole = create(server.client(), user("Who?", image(png(page()))), **options)
    texts, reasons, usage = {0: "", 1: ""}, {}, None
    for chunk in create(
        server.client(),
        user("Who?", image(png(page()))),
        stream=True,
        stream_options={"include_usage": True},
        **options,
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons.get(choice.index)
    assert texts == {each.index: each.message.content for each in whole.choices}
    assert reasons == {each.index: each.finish_reason for each in whole.choices}
    assert texts[0] != texts[1]
    assert usage is not None and usage.model_dump() == whole.usage.model_dump()


def test_logprobs_come_with_the_text_of_their_tokens(server) -> None:
    options = {"logprobs": True, "top_logprobs": 2, "max_tokens": 12}
    whole = create(server.client(), user("Who?"), **options).choices[0]
    told, num_chunks = [], 0
    for chunk in create(server.client(), user("Who?"), stream=True, **options):
        choice = chunk.choices[0]
        if choice.delta.content:
            num_chunks += 1
            assert choice.logprobs.content, "text without its tokens"
            joined = "".join(each.token for each in choice.logprobs.content)
            assert choice.delta.content in joined or "\ufffd" in joined
        told += choice.logprobs.content if choice.logprobs else []
    assert num_chunks > 1
    assert [each.token for each in told] == [each.token for each in whole.logprobs.content]
    for ours, theirs in zip(told, whole.logprobs.content, strict=True):
        assert ours.logprob == pytest.approx(theirs.logprob, abs=2e-3)
        assert len(ours.top_logprobs) == 2


def test_logprobs_of_a_response(server) -> None:
    asked = {
        **{"model": "latentvlm", "input": "Who?", "max_output_tokens": 12, "temperature": 0},
        **{"include": ["message.output_text.logprobs"], "top_logprobs": 1},
    }
    client = server.client()
    told = client.responses.create(**asked).output[0].content[0].logprobs
    deltas, last = [], None
    for event in client.responses.create(**asked, stream=True):
        if event.type == "response.output_text.delta":
            assert event.logprobs
            deltas += event.logprobs
        last = event
    assert last is not None
    tokens = [each.token for each in told]
    assert tokens and tokens == [e.token for e in last.response.output[0].content[0].logprobs]
    assert [each.token for each in deltas] == tokens[: len(deltas)]
    assert [each.top_logprobs[0].token for each in told] == tokens, "greedy takes the likeliest"
    del asked["include"]
    assert not client.responses.create(**asked).output[0].content[0].logprobs


def test_stop_and_seed(server) -> None:
    def ask(**more) -> str:
        options = {"temperature": 1.2, "seed": 5, "max_tokens": 24, **more}
        return create(server.client(), user("Who?"), **options).choices[0].message.content

    whole = ask()
    assert whole == ask() != ask(seed=6)
    assert ask(stop=[whole[4:7]]) == whole[: whole.find(whole[4:7])]


def test_answers_in_json(server) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    found = create(server.client(), user("Who?"), response_format=wanted, max_tokens=60)
    assert 0 <= json.loads(found.choices[0].message.content)["number"] <= 99
    other = server.client().responses.create(
        model="latentvlm",
        input="Who?",
        text={"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
    )
    assert json.loads(other.output_text).keys() == {"number"}
    text = create(server.client(), user("Who?"), response_format={"type": "json_object"})
    assert text.choices[0].message.content.startswith("{")
    for bad in ({"type": "json_schema"}, {"type": "yaml"}):
        with pytest.raises(openai.BadRequestError, match="response_format"):
            create(server.client(), user("Who?"), response_format=bad)


def test_responses_answer_and_stream(server) -> None:
    client = server.client()
    content = [
        {"type": "input_text", "text": "Which?"},
        {"type": "input_image", "image_url": data_url(png(page()))},
        {"type": "input_file", "filename": "a.pdf", "file_data": data_url(page_pdf((60, 36)))},
    ]
    asked = {
        "model": "latentvlm",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": content}],
        "max_output_tokens": 8,
        "temperature": 0,
    }
    whole = client.responses.create(**asked)
    assert whole.status == "incomplete" and whole.output_text
    details = whole.usage.model_dump()["input_tokens_details"]
    assert details["visual_tokens"] > 0
    deltas, last = "", None
    for event in client.responses.create(**asked, stream=True):
        if event.type == "response.output_text.delta":
            deltas += event.delta
        last = event
    assert last is not None and last.type == "response.incomplete"
    assert deltas == whole.output_text == last.response.output_text


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("a.pdf", "Page 2 of a.pdf was"),
        (None, "Page 2 of file 1 was"),
        ("a\nb", "Page 2 of file 1"),
    ],
)
def test_a_page_is_called_by_its_file_and_number(server, name: str | None, called: str) -> None:
    file = {"filename": name, "file_data": data_url(page_pdf((60, 36), (90, 54)))}
    asked = user("Which?", {"type": "file", "file": file})
    found = create(server.client(), asked, extra_body={"token_budget": 4, "pages": "2"})
    warnings = found.choices[0].model_dump()["latentvlm"]["warnings"]
    assert any(warning.startswith(called) for warning in warnings), warnings


def test_models_health_and_metrics(server) -> None:
    model = server.client().models.list().data[0]
    assert model.id == "latentvlm"
    assert server.client().models.retrieve("latentvlm") == model
    with pytest.raises(openai.NotFoundError, match="This server's model is latentvlm"):
        server.client().models.retrieve("a/b")
    create(server.client(), user("Who?"))
    with urllib.request.urlopen(server.url + "/health") as answer:
        assert json.loads(answer.read())["status"] == "ok"
    with urllib.request.urlopen(server.url + "/metrics") as answer:
        text = answer.read().decode()
    assert 'latentvlm_requests_total{endpoint="chat",status="200"}' in text
    assert "latentvlm_time_to_first_token_seconds_count" in text
    assert "latentvlm_finished_total" in text and "latentvlm_writing 0.0" in text


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"messages": []}, 400, "messages: List should have at least 1 item"),
        ({"messages": "Who?"}, 400, "messages: "),
        ({"colour": "red"}, 400, "colour: Extra inputs are not permitted"),
        ({"temperature": 9}, 400, "temperature: "),
        ({"n": 99}, 400, "n is 99 but must be from 1 to"),
        ({"max_tokens": 10**6}, 400, "max_tokens is 1000000; at most 4096"),
        ({"model": "gpt"}, 404, "This server's model is latentvlm"),
        ({"messages": user(" ")}, 400, "question is empty"),
        ({"messages": [{"role": "king", "content": "x"}]}, 400, "role 'king'"),
        ({"messages": user("Who?", {"type": "tune"})}, 400, "unknown type 'tune'"),
        ({"messages": user("Who?", image(b"no picture"))}, 400, "."),
        ({"messages": user("Who?", image(png(page())[:99]))}, 400, "."),
        ({"messages": user("Who?", image(b"\0\0\0\x20ftypisom"))}, 400, "read as a video"),
        (
            {
                "messages": user(
                    "Who?", {"type": "image_url", "image_url": {"url": "data:;base64,!"}}
                )
            },
            400,
            "not base64",
        ),
        (
            {"messages": user("?", {"type": "image_url", "image_url": {"url": "/etc/passwd"}})},
            403,
            "none of the folders",
        ),
        (
            {"messages": user("?", {"type": "image_url", "image_url": {"url": "http://a.b/c"}})},
            400,
            "fetches no addresses",
        ),
        (
            {"messages": user("?", {"type": "image_url", "image_url": {"url": "ftp://a.b/c"}})},
            400,
            "A medium is a data URL",
        ),
        ({"tool_choice": "required"}, 400, "the tools are none"),
        ({"presence_penalty": 1}, 400, "must be 0"),
        ({"thinking_budget": 5}, 400, "th"),
        ({"frames": 10**6}, 400, "at most 256"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(server, change, status, message) -> None:
    body = {"model": "latentvlm", "messages": user("Who?"), "max_tokens": 4} | change
    found, answer = post(server, "/v1/chat/completions", json.dumps(body).encode())
    assert found == status, answer
    assert message in answer["error"]["message"] and answer["error"]["message"].endswith(".")


def test_bodies_that_are_none(server) -> None:
    for body in (b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"messages": NaN}'):
        status, answer = post(server, "/v1/chat/completions", body)
        assert status == 400 and answer["error"]["message"]
    assert post(server, "/v1/nothing", b"{}")[0] == 404


def test_a_key_is_needed_where_there_are_keys(serve) -> None:
    with serve(ServerConfig(api_keys=("secret", "other"))) as server:
        assert create(server.client(api_key="other"), user("Who?")).choices
        with pytest.raises(openai.AuthenticationError):
            create(server.client(api_key="wrong"), user("Who?"))
        for path in ("/v1/models", "/metrics"):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(server.url + path)
        assert urllib.request.urlopen(server.url + "/health").status == 200


def test_files_only_below_allowed_folders(serve, tmp_path: Path) -> None:
    allowed, outside = tmp_path / "allowed", tmp_path / "allowed-not"
    for folder in (allowed, outside):
        folder.mkdir()
        (folder / "page.png").write_bytes(png(page()))
    (allowed / "link.png").symlink_to(outside / "page.png")

    def shown(path: Path | str) -> list[dict]:
        return user("Who?", {"type": "image_url", "image_url": {"url": f"file://{path}"}})

    with serve(ServerConfig(folders=(allowed,), max_file_bytes=20_000)) as server:
        client = server.client()
        found = create(client, shown(allowed / "page.png"))
        expected = create(client, user("Who?", image(png(page()))))
        assert found.choices[0].message.content == expected.choices[0].message.content
        for path in (
            outside / "page.png",
            allowed / "link.png",
            f"{allowed}/../allowed-not/page.png",
            allowed / "missing.png",
            allowed,
        ):
            with pytest.raises(openai.PermissionDeniedError, match="none of the folders"):
                create(client, shown(path))
        (allowed / "large.png").write_bytes(b"\x89PNG" + b"\0" * 20_001)
        with pytest.raises(openai.APIStatusError, match="more than 20,000 bytes"):
            create(client, shown(allowed / "large.png"))


def test_sizes_have_limits(serve) -> None:
    config = ServerConfig(max_body_bytes=30_000, max_pixels=4000, max_pages=2, max_prompt_tokens=60)
    with serve(config) as server:
        client = server.client()
        with pytest.raises(openai.APIStatusError, match="more than 30,000 bytes") as caught:
            create(client, user("Who? " * 10_000))
        assert caught.value.status_code == 413
        large = png(np.zeros((80, 80, 3), dtype=np.uint8))
        with pytest.raises(openai.BadRequestError, match="more than the 4,000 accepted"):
            create(client, user("Who?", image(large)))
        pdf = data_url(page_pdf((20, 20), (20, 20), (20, 20)), "application/pdf")
        with pytest.raises(openai.BadRequestError, match="pages"):
            create(client, user("Who?", {"type": "file", "file": {"file_data": pdf}}))
        with pytest.raises(openai.BadRequestError, match="at most 60 are read"):
            create(client, user("Who sent the letter? " * 20))
        assert create(client, user("Who?")).choices


@pytest.fixture
def slow_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token takes so long that no long answer ends before what a test does to it."""
    real = LanguageModel.logits

    def slowly(self, hidden):
        time.sleep(0.02)
        return real(self, hidden)

    monkeypatch.setattr(LanguageModel, "logits", slowly)


@pytest.mark.usefixtures("slow_writing")
def test_beyond_the_queue_is_429_and_leaving_frees_the_place(serve) -> None:
    with serve(max_batch=1, max_waiting=1) as server:
        long = {"max_tokens": 3000, "stream": True}
        first = create(server.client(), user("Who?"), **long)
        next(iter(first))
        second = create(server.client(), user("Who?"), **long)
        while not server.engine.state().waiting:
            time.sleep(0.005)
        with pytest.raises(openai.RateLimitError, match="1 requests wait already") as caught:
            create(server.client(), user("Who?"))
        assert caught.value.response.headers["retry-after"] == "1"
        first.close()
        next(iter(second))
        second.close()
        assert create(server.client(), user("Who?"), max_tokens=2).choices
        assert server.engine.state().cancelled == 2


@pytest.mark.usefixtures("slow_writing")
def test_leaving_without_streaming_frees_the_place(serve) -> None:
    with serve(max_batch=1) as server:
        with pytest.raises(openai.APITimeoutError):
            create(server.client(timeout=0.5), user("Who?"), max_tokens=3000)
        assert server.engine.drain(timeout=20)
        assert server.engine.state().cancelled == 1


@pytest.mark.usefixtures("slow_writing")
def test_a_request_has_its_time(serve) -> None:
    with serve(ServerConfig(request_s=0.3)) as server:
        with pytest.raises(openai.APIStatusError, match="more than 0.3 seconds") as caught:
            create(server.client(), user("Who?"), max_tokens=3000)
        assert caught.value.status_code == 408
        assert server.engine.drain(timeout=20)


def test_many_at_once_are_each_as_alone(server) -> None:
    def ask(seed: int) -> str:
        options = {"temperature": 1.0, "seed": seed, "max_tokens": 10}
        found = create(server.client(), user("Who?", image(png(page(seed % 3)))), **options)
        return found.choices[0].message.content

    alone = [ask(seed) for seed in range(8)]
    found: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: found.update({seed: ask(seed)}))
        for seed in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(8)] == alone


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "::ffff:127.0.0.1",
     "0.0.0.0", "192.168.1.1", "224.0.0.1", "100.64.0.1", "fd00::1"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)
    assert is_public("93.184.216.34") and is_public("2606:2800:220:1::1")


def test_fetching_checks_every_step(server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="not a public address"):
        fetch(server.url + "/health", max_bytes=1000)
    with pytest.raises(RequestError, match="not a public address"):
        fetch("http://localhost:1/", max_bytes=1000)
    seen: list[str] = []

    def only_the_first(address: str) -> bool:
        seen.append(address)
        return len(seen) == 1

    monkeypatch.setattr(fetch_module, "is_public", only_the_first)
    assert b"ok" in fetch(server.url + "/health", max_bytes=1000)
    with pytest.raises(RequestError, match="more than 4 bytes"):
        seen.clear()
        fetch(server.url + "/health", max_bytes=4)
    real = fetch_module._get
    monkeypatch.setattr(
        fetch_module, "_get", lambda url, *a: server.url if url == "http://a" else real(url, *a)
    )
    with pytest.raises(RequestError, match="not a public address"):  # where it redirects
        fetch("http://a", max_bytes=1000)
