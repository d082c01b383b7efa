"""The moving picture: drifting lights on a colour field, the prompt in front, and a clock that runs.

A frame is drawn straight into the three planes that the encoder wants (luma at full size, two chroma planes
at half), so no frame is ever converted. What does not move is drawn once.
"""

import colorsys
import hashlib
import math
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

from .lettering import choose_font, fit, font, legible, line_height

Planes = tuple[Image.Image, Image.Image, Image.Image]
Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Shot:
    """What a video shows. Equal shots are equal videos.

    prompt: str
    width, height: int, pixels, even
    seconds: int
    variant, variants: int, counted from 1
    """

    prompt: str
    width: int
    height: int
    seconds: int
    variant: int = 1
    variants: int = 1


def _studio(colour: Colour) -> tuple[int, int, int]:
    """RGB as the Y, Cb and Cr of television range, which players assume for H.264 (BT.601 coefficients)."""
    red, green, blue = (part / 255 for part in colour)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return (
        round(16 + 219 * luma),
        round(128 + 224 * (blue - luma) / 1.772),
        round(128 + 224 * (red - luma) / 1.402),
    )


def _split(image: Image.Image) -> Planes:
    """An RGB picture as planes in television range, chroma at half size."""
    luma, blue, red = image.convert("YCbCr").split()
    half = (image.width // 2, image.height // 2)
    narrowed = [round(128 + (value - 128) * 224 / 255) for value in range(256)]
    return (
        luma.point([round(16 + value * 219 / 255) for value in range(256)]),
        blue.resize(half, Image.Resampling.BOX).point(narrowed),
        red.resize(half, Image.Resampling.BOX).point(narrowed),
    )


class Layer:
    """One colour, and a mask that says how much of it shows. It can be laid over planes at any even position."""

    def __init__(self, colour: Colour, mask: Image.Image) -> None:
        self._parts = _studio(colour)
        half = mask.resize((max(1, mask.width // 2), max(1, mask.height // 2)), Image.Resampling.BOX)
        self._masks = (mask, half, half)
        self.size = mask.size

    def over(self, planes: Planes, left: int, top: int) -> None:
        """Lay it on `planes`. Odd positions are moved to even ones, or luma and chroma would part."""
        at = (left // 2 * 2, top // 2 * 2)
        for index, plane in enumerate(planes):
            corner = at if index == 0 else (at[0] // 2, at[1] // 2)
            plane.paste(self._parts[index], corner, self._masks[index])


@dataclass(frozen=True)
class _Light:
    """A soft disc on a closed path. It ends where it began, so a looping player shows no jump."""

    layer: Layer
    centre: tuple[float, float]
    swing: tuple[float, float]
    turns: tuple[int, int]
    phase: float

    def draw(self, planes: Planes, share: float) -> None:
        angle = 2 * math.pi * share
        x = self.centre[0] + self.swing[0] * math.cos(self.turns[0] * angle + self.phase)
        y = self.centre[1] + self.swing[1] * math.sin(self.turns[1] * angle + self.phase)
        self.layer.over(planes, int(x - self.layer.size[0] / 2), int(y - self.layer.size[1] / 2))


class Scene:
    """Draws any moment of a Shot."""

    def __init__(self, shot: Shot) -> None:
        self.shot = shot
        self._unit = min(shot.width, shot.height)
        self._margin = int(self._unit * 0.075) // 2 * 2
        digest = hashlib.sha256(shot.prompt.encode("utf-8", "surrogatepass")).digest()
        # The prompt chooses the colours. Each variant turns the colour wheel, so that the variants differ.
        self._hue = (digest[0] / 256 + 0.13 * (shot.variant - 1)) % 1
        self._digest = digest
        self._background = _split(self._field())
        self._lights = self._make_lights()
        self._lettering = self._make_lettering()
        self._small = font(self._small_size)

    @property
    def _small_size(self) -> int:
        return max(10, int(self._unit * 0.036))

    def planes(self, second: float) -> Planes:
        """The picture at `second`, as Y, Cb and Cr in television range."""
        planes: Planes = (
            self._background[0].copy(),
            self._background[1].copy(),
            self._background[2].copy(),
        )
        share = second / self.shot.seconds
        for light in self._lights:
            light.draw(planes, share)
        for layer in self._lettering:
            layer.over(planes, 0, 0)
        self._draw_bar(planes, share)
        self._draw_clock(planes, second)
        return planes

    def still(self, second: float) -> Image.Image:
        """The picture at `second`, as RGB."""
        luma, blue, red = self.planes(second)
        widened = [min(255, max(0, round(128 + (value - 128) * 255 / 224))) for value in range(256)]
        full = (
            luma.point([min(255, max(0, round((value - 16) * 255 / 219))) for value in range(256)]),
            blue.resize(luma.size, Image.Resampling.BILINEAR).point(widened),
            red.resize(luma.size, Image.Resampling.BILINEAR).point(widened),
        )
        return Image.merge("YCbCr", full).convert("RGB")

    def _colour(self, turn: float, saturation: float, value: float) -> Colour:
        red, green, blue = colorsys.hsv_to_rgb((self._hue + turn) % 1, saturation, value)
        return round(red * 255), round(green * 255), round(blue * 255)

    def _field(self) -> Image.Image:
        """A few colours run into each other, darker towards the edges."""
        size = (self.shot.width, self.shot.height)
        seeds = Image.new("RGB", (3, 3))
        for index in range(9):
            step = self._digest[index + 1] / 255
            shade = 0.42 + 0.22 * step - 0.03 * (index // 3)
            seeds.putpixel(
                (index % 3, index // 3), self._colour(0.16 * (step - 0.5) + 0.05 * (index % 3), 0.72, shade)
            )
        field = seeds.resize(size, Image.Resampling.BICUBIC)
        edge = (
            Image.radial_gradient("L")
            .resize(size, Image.Resampling.BICUBIC)
            .point([v * 7 // 10 for v in range(256)])
        )
        field.paste((4, 5, 14), (0, 0), edge)
        return field

    def _make_lights(self) -> list[_Light]:
        width, height = self.shot.width, self.shot.height
        lights = []
        for index, (scale, strength) in enumerate(
            ((0.95, 0.42), (0.62, 0.5), (0.40, 0.55), (0.16, 0.75), (0.10, 0.8))
        ):
            across = max(8, int(self._unit * scale)) // 2 * 2
            glow = Image.radial_gradient("L").resize((across, across))
            # The gradient is 0 in the middle and 255 in the corners: turned round, cut at the rim.
            mask = glow.point(
                [int(max(0.0, 1 - value / 181) ** 1.6 * 255 * strength) for value in range(256)]
            )
            seed = self._digest[10 + index] / 255
            lights.append(
                _Light(
                    Layer(
                        self._colour((0.02, 0.14, -0.12, 0.09, -0.06)[index], 0.62 - 0.1 * (index > 2), 1.0),
                        mask,
                    ),
                    centre=(
                        width * (0.3 + 0.4 * seed),
                        height * (0.3 + 0.4 * self._digest[16 + index] / 255),
                    ),
                    swing=(width * (0.22 + 0.06 * index), height * (0.18 + 0.06 * index)),
                    turns=((1, 1, 1, 2, 1)[index], (1, 2, 1, 1, 2)[index]),
                    phase=2 * math.pi * seed,
                )
            )
        return lights

    def _make_lettering(self) -> list[Layer]:
        shot, margin, small = self.shot, self._margin, self._small_size
        mask = Image.new("L", (shot.width, shot.height), 0)
        draw = ImageDraw.Draw(mask)
        faint = 200
        draw.text((margin, margin), "SIMULATED VIDEO", 235, font(small), anchor="lt")
        size = f"{shot.width} x {shot.height}"
        draw.text((shot.width - margin, margin), size, faint, font(small), anchor="rt")
        foot = self._foot
        count = f"variant {shot.variant} of {shot.variants}"
        draw.text((margin, foot), count, faint, font(small), anchor="ls")

        top, bottom = margin + small * 2.2, foot - small * 2.0
        name = choose_font(shot.prompt)
        face, lines = fit(
            legible(shot.prompt, name) or "(no prompt)",
            name,
            shot.width - 2 * margin,
            int(bottom - top),
            largest=int(self._unit * 0.115),
            smallest=max(11, int(self._unit * 0.034)),
        )
        height = line_height(getattr(face, "size", 11))
        y = top + (bottom - top - height * len(lines)) / 2 + height / 2
        for line in lines:
            draw.text((margin, y), line, 255, face, anchor="lm")
            y += height
        return [Layer((4, 5, 14), self._shadow(mask)), Layer(WHITE, mask)]

    def _shadow(self, mask: Image.Image) -> Image.Image:
        """A soft darkening around the letters, so that they stay readable when lights pass behind them.

        It is blurred at a quarter of the size, which looks the same and costs a sixteenth.
        """
        quarter = mask.resize((max(1, mask.width // 4), max(1, mask.height // 4)), Image.Resampling.BOX)
        soft = quarter.filter(ImageFilter.GaussianBlur(max(1.0, self._unit * 0.006)))
        return soft.point([min(190, value * 2) for value in range(256)]).resize(
            mask.size, Image.Resampling.BILINEAR
        )

    @property
    def _bar_box(self) -> tuple[int, int, int, int]:
        thick = max(4, int(self._unit * 0.010) // 2 * 2)
        bottom = (self.shot.height - self._margin) // 2 * 2
        return self._margin, bottom - thick, (self.shot.width - self._margin) // 2 * 2, bottom

    @property
    def _foot(self) -> int:
        """The baseline of the small print above the bar; even, as everything that is laid over a frame."""
        return int(self._bar_box[1] - self._small_size * 0.9) // 2 * 2

    def _draw_bar(self, planes: Planes, share: float) -> None:
        left, top, right, bottom = self._bar_box
        track = Layer(WHITE, Image.new("L", (right - left, bottom - top), 60))
        track.over(planes, left, top)
        done = int((right - left) * share) // 2 * 2
        if done:
            Layer(WHITE, Image.new("L", (done, bottom - top), 240)).over(planes, left, top)

    def _draw_clock(self, planes: Planes, second: float) -> None:
        small = self._small_size
        text = f"{second:.1f} / {self.shot.seconds} s"
        mask = Image.new("L", ((int(self._small.getlength(text)) + 8) // 2 * 2, small * 2), 0)
        rise = int(small * 1.5) // 2 * 2
        ImageDraw.Draw(mask).text((mask.width, rise), text, 235, self._small, anchor="rs")
        left = self.shot.width - self._margin - mask.width
        Layer(WHITE, mask).over(planes, left, self._foot - rise)
