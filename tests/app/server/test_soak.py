"""A server process under many mixed requests: none is lost, and it holds no more than before.

2,000 requests; about a minute of them under LATENTVLM_SMOKE, or as many as LATENTVLM_SOAK says.
"""

import json
import os
import random
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openai
import pytest
from support.clips import write_clip
from support.leaks import open_files, resident_bytes
from support.openai_requests import create, data_url, image, png, user
from support.pdf_files import page_pdf
from support.server_process import health, server_process
from support.tiny_model import write_tiny_model

NUM = int(os.environ.get("LATENTVLM_SOAK", "2000"))
SECONDS = 60.0 if os.environ.get("LATENTVLM_SMOKE") else float("inf")
AT_ONCE = 16
SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["number"],
    "additionalProperties": False,
}

pytestmark = pytest.mark.slow


class Requests:
    """One request of each kind; each returns how it ended, or raises where it must not end so."""

    def __init__(self, clip: bytes) -> None:
        document = data_url(page_pdf((60, 36), (36, 60)), "application/pdf")
        self._file = {"type": "file", "file": {"file_data": document}}
        self._video = {"type": "video_url", "video_url": {"url": data_url(clip, "video/mp4")}}
        # of every ten requests
        self.kinds: list[Callable] = [
            *(self.answered, self.answered, self.several, self.of_video, self.in_json),
            *(self.streamed, self.as_response, self.refused, self.left, self.given_up),
        ]

    def parts(self, rng: random.Random) -> list[dict]:
        shade = np.full((48, 80, 3), rng.randrange(256), dtype=np.uint8)
        return rng.choice([[], [image(png(shade))], [self._file], [image(png(shade)), self._file]])

    def answered(self, client: openai.OpenAI, rng: random.Random) -> str:
        given = {"max_tokens": rng.choice([1, 4, 24]), "seed": 1, "temperature": 1.0}
        assert create(client, user("Who?", *self.parts(rng)), **given).choices[0].finish_reason
        return "answered"

    def several(self, client: openai.OpenAI, rng: random.Random) -> str:
        found = create(client, user("Who?", *self.parts(rng)), n=2, logprobs=True, top_logprobs=2)
        assert len(found.choices) == 2 and found.choices[1].logprobs.content
        return "two answers"

    def of_video(self, client: openai.OpenAI, rng: random.Random) -> str:
        body = {"frames": rng.choice([2, 4]), "evs_rate": rng.choice([0.0, 0.5])}
        assert create(client, user("Who?", self._video), extra_body=body).usage.prompt_tokens > 20
        return "of a video"

    def in_json(self, client: openai.OpenAI, rng: random.Random) -> str:
        wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
        found = create(
            client, user("Who?", *self.parts(rng)), response_format=wanted, max_tokens=60
        )
        assert 0 <= json.loads(found.choices[0].message.content)["number"] <= 99
        return "in JSON"

    def streamed(self, client: openai.OpenAI, rng: random.Random) -> str:
        stream = create(client, user("Who?", *self.parts(rng)), stream=True, max_tokens=24)
        assert [chunk for chunk in stream][-1].choices[0].finish_reason
        return "streamed"

    def as_response(self, client: openai.OpenAI, rng: random.Random) -> str:
        events = client.responses.create(
            model="latentvlm", input="Who?", max_output_tokens=8, stream=True
        )
        assert [event.type for event in events][-1] in ("response.completed", "response.incomplete")
        return "a response, streamed"

    def refused(self, client: openai.OpenAI, rng: random.Random) -> str:
        data = rng.choice([b"no picture", page_pdf((60, 36))[:200], b"\0\0\0\x20ftypisom" + b"\0"])
        with pytest.raises(openai.BadRequestError):
            create(client, user("Who?", image(data)))
        return "refused"

    def left(self, client: openai.OpenAI, rng: random.Random) -> str:
        stream = create(client, user("Who?", *self.parts(rng)), stream=True, max_tokens=400)
        next(iter(stream))
        stream.close()
        return "left while it streamed"

    def given_up(self, client: openai.OpenAI, rng: random.Random) -> str:
        impatient = client.with_options(timeout=rng.choice([0.05, 0.3]))
        try:
            create(impatient, user("Who?", *self.parts(rng)), max_tokens=400)
        except openai.APITimeoutError:
            return "given up"
        return "answered in time"


def figures(url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line[0] != "#"
    }


def test_a_soak_loses_nothing_and_keeps_memory_flat(tmp_path: Path) -> None:
    model = tmp_path / "model"
    write_tiny_model(model)
    requests = Requests(write_clip(tmp_path / "a.mp4", 12).read_bytes())
    numbers, lock = iter(range(NUM)), threading.Lock()
    done: list[str] = []
    failed: list[BaseException] = []
    memory: list[int] = []
    with server_process("--model", model, "--max-waiting", 64) as (process, url):
        begin = time.monotonic()

        def work() -> None:
            client = openai.OpenAI(
                base_url=url + "/v1", api_key="none", max_retries=0, timeout=300.0
            )
            while True:
                with lock:
                    idx = next(numbers, None) if time.monotonic() - begin < SECONDS else None
                if idx is None:
                    client.close()
                    return
                rng = random.Random(idx)
                try:
                    how = requests.kinds[idx % 10](client, rng)
                except BaseException as error:
                    failed.append(error)
                    return
                with lock:
                    done.append(how)
                    memory.append(resident_bytes(process.pid))

        threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, [(error, error.__cause__) for error in failed]
        took = time.monotonic() - begin
        while (state := health(url))["writing"] or state["waiting"]:
            time.sleep(0.05)
        told = figures(url)
        files = open_files(process.pid)
    assert len(done) == sum(v for k, v in told.items() if "requests_total" in k), (told, done)
    assert told["latentvlm_failed_total"] == 0
    assert files < 40, "connections, temporary files or pipes are left open"
    quarters = [max(each) / 2**20 for each in np.array_split(memory, 4)]
    counts = ", ".join(f"{n} {how}" for how, n in sorted(Counter(done).items()))
    print(f"\n{len(done)} requests, {AT_ONCE} at a time, in {took:.0f} s: {counts}")
    print("memory of the server, at most in each quarter:", end=" ")
    print(", ".join(f"{each:.0f}" for each in quarters), f"MB; {files} files open at the end")
    assert max(quarters[2:]) - max(quarters[:2]) < 32
