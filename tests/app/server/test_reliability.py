"""Malformed requests and many of them; docs/reliability.md says how to run these for longer.

LATENTVLM_FUZZ is how many bodies are tried, LATENTVLM_SOAK how many requests are made.
"""

import json
import os
import random
import threading
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.openai_requests import create, data_url, image, page, png, post, user
from support.pdf_files import page_pdf

FUZZ = int(os.environ.get("LATENTVLM_FUZZ", "25"))
SOAK = int(os.environ.get("LATENTVLM_SOAK", "300"))
ENDPOINTS = {"/v1/chat/completions": "messages", "/v1/responses": "input"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**64) | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
WHOLE = [png(page()), page_pdf((60, 36)), b"GIF89a" + bytes(30), b"\0\0\0\x20ftypisom" + bytes(60)]


def of_schema(schema: dict[str, Any], defs: dict[str, Any]) -> st.SearchStrategy:
    """Values that a schema of the interface's description allows, more or less."""
    if "$ref" in schema:
        return of_schema(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
    if "anyOf" in schema:
        return st.one_of([of_schema(each, defs) for each in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "integer":
        return st.integers(schema.get("minimum", -2), min(schema.get("maximum", 40), 40))
    if kind == "number":
        return st.floats(0, schema.get("maximum", 2.0))
    if kind == "array":
        return st.lists(of_schema(schema.get("items", {}), defs), max_size=3)
    if kind == "object" and "properties" in schema:
        parts = {key: of_schema(each, defs) for key, each in schema["properties"].items()}
        return st.fixed_dictionaries({}, optional=parts)
    simple = {"boolean": st.booleans(), "null": st.none(), "string": st.text(max_size=20)}
    return simple.get(str(kind), JSON)


@st.composite
def broken_media(draw: st.DrawFn) -> str:
    """A data URL of a file that was cut, or in which bytes were changed."""
    data = bytearray(draw(st.sampled_from(WHOLE)))
    del data[draw(st.integers(0, len(data))) :]
    for _ in range(draw(st.integers(0, 8))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return data_url(bytes(data), draw(st.sampled_from(["image/png", "application/pdf", "x/y"])))


def part() -> st.SearchStrategy:
    url = broken_media() | st.sampled_from(["file:///etc/passwd", "http://127.0.0.1/", "x", ""])
    return st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=30)),
        st.builds(lambda u: {"type": "image_url", "image_url": {"url": u}}, url),
        st.builds(lambda u: {"type": "video_url", "video_url": {"url": u}}, url),
        st.builds(lambda u: {"type": "file", "file": {"file_data": u}}, url),
        st.builds(lambda u: {"type": "input_image", "image_url": u}, url),
        JSON,
    )


def messages() -> st.SearchStrategy:
    content = st.text(max_size=30) | st.lists(part(), max_size=3) | JSON
    roles = st.sampled_from(["user", "user", "system", "assistant", "tool", "king"])
    one = st.builds(lambda role, content: {"role": role, "content": content}, roles, content)
    return st.lists(one, min_size=1, max_size=3)


TALK = st.none() | messages() | st.just([{"role": "user", "content": "Who?"}])


@pytest.mark.parametrize(("path", "key"), ENDPOINTS.items())
def test_no_request_is_a_500(server, path: str, key: str) -> None:
    with urllib.request.urlopen(server.url + "/openapi.json") as answer:
        paths = json.loads(answer.read())["paths"]
    body = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    seen: set[int] = set()

    @settings(
        max_examples=FUZZ,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(of_schema(body, body.get("$defs", {})), TALK, JSON, st.sampled_from([0, 0, 0, 1]))
    def ask(values: dict, talk: Any, extra: Any, is_odd: int) -> None:
        sent = {"max_tokens" if key == "messages" else "max_output_tokens": 2, "model": ""}
        # few keys at a time, else one of them always is why it is refused
        sent |= dict(random.Random(len(values)).sample(sorted(values.items()), min(2, len(values))))
        sent |= {key: talk if talk is not None else values.get(key), "stream": False}
        odd = sent | extra if isinstance(extra, dict) else extra
        status, answer = post(server, path, json.dumps(odd if is_odd else sent).encode())
        seen.add(status)
        assert status < 500, answer
        assert status == 200 or answer["error"]["message"]

    ask()
    assert {200, 400} <= seen, "everything was refused, or nothing"
    assert server.engine.drain(timeout=60)
    assert create(server.client(), user("Who?")).choices


def resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_soak_loses_nothing_and_keeps_memory_flat(server) -> None:
    """Mixed requests, 16 at a time: answered, refused, streamed, left in the middle."""
    numbers, lock = iter(range(SOAK)), threading.Lock()
    done: list[str] = []
    memory: list[int] = []
    document = data_url(page_pdf((60, 36), (36, 60)), "application/pdf")

    def one(client: openai.OpenAI, idx: int) -> str:
        rng = random.Random(idx)
        picture = image(png(np.full((48, 80, 3), rng.randrange(256), dtype=np.uint8)))
        file = {"type": "file", "file": {"file_data": document}}
        parts = rng.choice([[], [picture], [file], [picture, file]])
        options = {"max_tokens": rng.choice([1, 4, 24]), "seed": idx, "temperature": 1.0}
        if idx % 10 == 3:
            with pytest.raises(openai.BadRequestError):
                create(client, user("Who?", image(b"no picture")))
            return "refused"
        if idx % 10 in (5, 7):
            stream = create(client, user("Who?", *parts), stream=True, **options)
            if idx % 10 == 5:
                next(iter(stream))
                stream.close()
                return "left"
            assert [chunk for chunk in stream][-1].choices[0].finish_reason
            return "streamed"
        assert create(client, user("Who?", *parts), **options).choices[0].finish_reason
        return "answered"

    def work() -> None:
        client = server.client(timeout=300.0)
        while True:
            with lock:
                idx = next(numbers, None)
            if idx is None:
                return
            how = one(client, idx)
            with lock:
                done.append(how)
                memory.append(resident_bytes())

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == SOAK, "a request was lost"
    assert server.engine.drain(timeout=60)
    state = server.engine.state()
    assert state.failed == 0
    half = len(memory) // 2
    grown = max(memory[half:]) - max(memory[:half])
    counts = {how: done.count(how) for how in sorted(set(done))}
    print(f"{counts}; memory {max(memory[:half]) / 2**20:.0f} MB, then {grown / 2**20:+.0f} MB")
    assert grown < 48 * 2**20
