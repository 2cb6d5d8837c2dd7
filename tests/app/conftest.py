"""A picture to ask the command line about."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "page.png"
    page = Image.new("RGB", (96, 64), "white")
    ImageDraw.Draw(page).text((8, 8), "Total 12.50", fill="black")
    page.save(path)
    return path
