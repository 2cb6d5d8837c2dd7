"""Models that say what a script says, of both Nemotron kinds."""

import pytest
from support.thinking import Scripted


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scripted]:
    folder = tmp_path_factory.mktemp("tokenizers")
    return {name: Scripted(folder / name, name) for name in ("2", "3")}


@pytest.fixture(params=["3", "2"])
def kind(request: pytest.FixtureRequest, kinds: dict[str, Scripted]) -> Scripted:
    return kinds[request.param]


@pytest.fixture
def three(kinds: dict[str, Scripted]) -> Scripted:
    return kinds["3"]


@pytest.fixture
def two(kinds: dict[str, Scripted]) -> Scripted:
    return kinds["2"]
