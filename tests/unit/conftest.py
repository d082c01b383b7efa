"""Real videos for the tests that read them."""

import io
from pathlib import Path

import av
import pytest
from PIL import Image


def render_mp4(path: Path, *, index_first: bool) -> bytes:
    """Five frames of 64x48 at ten a second; the index (`moov`) before or behind the pictures."""
    options = {"movflags": "+faststart"} if index_first else {}
    with av.open(path, "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "crf": "45"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(5):
            picture = Image.new("RGB", (64, 48), (shade * 40, 90, 160))
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    return path.read_bytes()


@pytest.fixture(scope="session", params=["moov-first", "moov-last"])
def mp4(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("videos") / f"{request.param}.mp4"
    return render_mp4(path, index_first=request.param == "moov-first")


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    """One 64x48 still of each media type that is taken."""
    return {f"image/{kind}": _picture(kind) for kind in ("png", "jpeg", "webp")}


def _picture(kind: str) -> bytes:
    content = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(content, kind)
    return content.getvalue()
