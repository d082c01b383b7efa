"""Real files for simulated jobs: H.264 in MP4, a thumbnail, a sheet of thumbnails.

A small pool renders in the background; equal shots are rendered once.
"""

import io
import tempfile
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream
from PIL import Image

from .scene import Planes, Scene, Shot

FRAMES_PER_SECOND = 20

_BT601 = 6  # the number under which H.264 knows the coefficients that `scene` uses
_TELEVISION_RANGE = 1
_SHEET_COLUMNS, _SHEET_ROWS = 5, 2


@dataclass(frozen=True)
class Rendering:
    """The files of one video, as bytes: the video, and one still in two formats."""

    mp4: bytes
    jpeg: bytes
    webp: bytes


class GivenUpError(Exception):
    """Nobody waits for this video any more."""


def render(shot: Shot, given_up: threading.Event | None = None) -> Rendering:
    """Draw and encode `shot`, which takes seconds.

    Raises av.FFmpegError when the encoder refuses it, GivenUpError when `given_up` is set meanwhile.
    """
    scene = Scene(shot)
    still = scene.still(shot.seconds * 0.4)
    return Rendering(
        mp4=_encode(scene, given_up or threading.Event()),
        jpeg=_saved(still, "JPEG", quality=88),
        webp=_saved(still, "WEBP", quality=82, method=2),
    )


def render_sheet(shot: Shot) -> bytes:
    """Stills from the whole length of `shot` side by side, as WebP. Drawn when asked for: few clients do."""
    return _saved(_sheet(Scene(shot)), "WEBP", quality=78, method=2)


def _encode(scene: Scene, given_up: threading.Event) -> bytes:
    shot = scene.shot
    # A file on disk, because moving the index to the front (so that a browser starts playing before it has
    # the end) makes the muxer read back what it wrote.
    with tempfile.TemporaryDirectory(prefix="simulated-video-") as folder:
        path = Path(folder) / "video.mp4"
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream(
                "libx264", rate=FRAMES_PER_SECOND, options={"preset": "veryfast", "crf": "23"}
            )
            stream.width, stream.height, stream.pix_fmt = shot.width, shot.height, "yuv420p"
            stream.time_base = Fraction(1, FRAMES_PER_SECOND)
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = _BT601
            context.color_range = _TELEVISION_RANGE
            for number in range(shot.seconds * FRAMES_PER_SECOND):
                if given_up.is_set():
                    raise GivenUpError
                planes = scene.planes(number / FRAMES_PER_SECOND)
                container.mux(stream.encode(_frame(planes, number, stream)))
            container.mux(stream.encode(None))
        return path.read_bytes()


def _frame(planes: Planes, number: int, stream: VideoStream) -> av.VideoFrame:
    frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
    for plane, picture in zip(frame.planes, planes, strict=True):
        # The encoder's lines are longer than the picture's if the width is no multiple of its step.
        plane.update(picture.tobytes("raw", "L", plane.line_size))
    frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
    return frame


def _sheet(scene: Scene) -> Image.Image:
    shot, count = scene.shot, _SHEET_COLUMNS * _SHEET_ROWS
    width = max(2, min(256, shot.width))
    height = max(2, round(width * shot.height / shot.width))
    sheet = Image.new("RGB", (width * _SHEET_COLUMNS, height * _SHEET_ROWS))
    for index in range(count):
        still = scene.still(shot.seconds * (index + 0.5) / count).resize((width, height))
        sheet.paste(still, (index % _SHEET_COLUMNS * width, index // _SHEET_COLUMNS * height))
    return sheet


def _saved(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


class Renderer:
    """Renders in the background and remembers the latest videos.

    workers: int, renders at once
    keep: int, how many finished videos stay in memory
    """

    def __init__(self, workers: int = 2, keep: int = 48) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="render")
        self._keep = keep
        self._known: OrderedDict[Shot, Future[Rendering]] = OrderedDict()
        self._lock = threading.Lock()
        self._given_up = threading.Event()

    def begin(self, shot: Shot) -> Future[Rendering]:
        """The future of this video: a new one, or the one that an equal shot began before."""
        with self._lock:
            future = self._known.get(shot)
            if future is None or future.cancelled() or (future.done() and future.exception()):
                future = self._pool.submit(render, shot, self._given_up)
                self._known[shot] = future
            self._known.move_to_end(shot)
            while len(self._known) > self._keep:
                self._known.popitem(last=False)
            return future

    def close(self) -> None:
        """Give up all renders, also those that have not begun. Otherwise the interpreter would wait for them at its end."""
        self._given_up.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
