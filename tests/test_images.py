"""Untrusted image bytes: valid ones become pixels as people see them, all others one clear error."""

import json
import shutil
import struct
import subprocess
import sys
import zlib
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from loop.domain.errors import BadImage, Invalid, PayloadTooLarge
from loop.domain.item import ImageFacts
from serving.image_containers import MAX_JPEG_SCANS, MAX_PNG_CHUNKS
from serving.images import decode_image, inspect_image
from tests.requirements import missing, require_chromium, require_data

CAP = 40_000_000
FORMATS = ("JPEG", "PNG", "WEBP")
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def scene(width: int = 48, height: int = 32, seed: int = 0) -> Image.Image:
    """A smooth picture with a different colour in each corner, which survives lossy coding."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR)


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, extra: bytes = b"", pixels: bytes = b"") -> bytes:
    """A PNG that claims this size in 8-bit grey, with `extra` chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return SIGNATURE + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND")


def segment(code: int, data: bytes) -> bytes:
    return bytes([0xFF, code]) + struct.pack(">H", len(data) + 2) + data


def exif(orientation: int, order: str = "<") -> bytes:
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(f"{order}IH", 8, 1) + entry + b"\x00" * 4


def with_orientation(content: bytes, form: str, block: bytes) -> bytes:
    """The file with an EXIF block right after its header."""
    if form == "JPEG":
        return content[:2] + segment(0xE1, b"Exif\x00\x00" + block) + content[2:]
    return content[:33] + chunk(b"eXIf", block) + content[33:]


def refusal(content: bytes, *, max_pixels: int = CAP) -> Invalid:
    """The error that decoding gives, which always says what to do next."""
    with pytest.raises((BadImage, PayloadTooLarge)) as caught:
        decode_image(content, max_pixels=max_pixels)
    assert caught.value.detail.endswith(".")
    assert caught.value.hint
    return caught.value


def refused_or_right(content: bytes) -> None:
    """Decoding gives pixels that fit the facts, or one of the two errors; never another exception."""
    try:
        facts, pixels = decode_image(content, max_pixels=1_000_000)
    except (BadImage, PayloadTooLarge) as error:
        assert error.hint
        return
    assert pixels.shape == (facts.height, facts.width, 3)
    assert facts == inspect_image(content, max_pixels=1_000_000)


# --- valid images ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_size_type_and_pixels(form: str) -> None:
    """A valid image gives its size, its type by content, and RGB pixels close to what was saved."""
    image = scene()
    content = encoded(image, form, quality=95)
    facts, pixels = decode_image(content, max_pixels=CAP)
    assert facts == ImageFacts(48, 32, f"image/{form.lower()}")
    assert inspect_image(content, max_pixels=CAP) == facts
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert np.abs(pixels.astype(int) - np.asarray(image).astype(int)).mean() < 3


GREY = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (4, 1))


def _sixteen_bit() -> bytes:
    return encoded(Image.fromarray(GREY.astype(np.uint16) << 8 | GREY), "PNG")


def _as_rgb(mode: str) -> bytes:
    return encoded(Image.fromarray(GREY).convert(mode), "PNG")


@pytest.mark.parametrize(
    "content",
    [
        _as_rgb("L"),
        _as_rgb("P"),
        _as_rgb("LA"),
        _as_rgb("RGB"),
        _as_rgb("RGBA"),
        _sixteen_bit(),
        encoded(Image.fromarray(GREY), "WEBP", lossless=True),
    ],
    ids=["L", "P", "LA", "RGB", "RGBA", "16-bit", "WEBP lossless"],
)
def test_same_greys_from_every_lossless_mode(content: bytes) -> None:
    """However grey levels are coded, they come out as the same RGB."""
    _, pixels = decode_image(content, max_pixels=CAP)
    assert np.array_equal(pixels, np.repeat(GREY[:, :, np.newaxis], 3, axis=2))


def test_one_bit_png_is_black_and_white() -> None:
    """A bilevel image spans 0 to 255."""
    _, pixels = decode_image(encoded(Image.new("1", (2, 1), 1), "PNG"), max_pixels=CAP)
    assert pixels.tolist() == [[[255] * 3, [255] * 3]]


def test_cmyk_jpeg_keeps_its_colours() -> None:
    """A JPEG in printer's colours comes out as it would be shown."""
    content = encoded(Image.new("RGB", (16, 16), (200, 40, 40)).convert("CMYK"), "JPEG", quality=95)
    _, pixels = decode_image(content, max_pixels=CAP)
    assert np.abs(pixels.reshape(-1, 3).mean(axis=0) - (200, 40, 40)).max() < 6


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_transparency_is_laid_over_black(form: str) -> None:
    """Clear pixels are black, whatever colour hides under them; half-clear ones are half as bright."""
    image = Image.new("RGBA", (3, 1))
    image.putdata([(255, 0, 0, 0), (200, 100, 50, 255), (200, 100, 50, 128)])
    _, pixels = decode_image(encoded(image, form, lossless=True, exact=True), max_pixels=CAP)
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[0, 1].tolist() == [200, 100, 50]
    assert np.abs(pixels[0, 2].astype(int) - (100, 50, 25)).max() <= 1


def test_palette_transparency_is_laid_over_black() -> None:
    """A transparent palette entry is black too."""
    image = Image.new("P", (2, 1))
    image.putpalette([255, 255, 255, 10, 20, 30])
    image.putdata([0, 1])
    _, pixels = decode_image(encoded(image, "PNG", transparency=0), max_pixels=CAP)
    assert pixels.tolist() == [[[0, 0, 0], [10, 20, 30]]]


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_first_picture_of_an_animation_counts(form: str) -> None:
    """Of an APNG or animated WebP the first frame is decoded."""
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    content = encoded(red, form, save_all=True, append_images=[blue], lossless=True)
    _, pixels = decode_image(content, max_pixels=CAP)
    assert pixels[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation_is_applied(form: str, orientation: int, order: str) -> None:
    """Size and pixels are those of the upright image, for each of the eight orientations."""
    content = with_orientation(encoded(scene(), form), form, exif(orientation, order))
    facts, pixels = decode_image(content, max_pixels=CAP)
    upright = ImageOps.exif_transpose(Image.open(BytesIO(content))).convert("RGB")
    assert (facts.width, facts.height) == upright.size
    assert inspect_image(content, max_pixels=CAP) == facts
    assert np.array_equal(pixels, np.asarray(upright))


@pytest.mark.parametrize(
    "block",
    [b"", b"II*\x00", exif(0), exif(9), exif(6)[:-8], b"II*\x00\xff\xff\xff\xff", b"II*\x00\x08\x00\x00\x00\xff\xff"],
    ids=["empty", "no directory", "0", "9", "cut", "beyond the end", "endless"],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_unreadable_exif_is_no_orientation(form: str, block: bytes) -> None:
    """Damaged metadata does not cost the image."""
    content = with_orientation(encoded(scene(), form), form, block)
    assert decode_image(content, max_pixels=CAP)[0].width == 48


def test_orientation_in_xmp_is_ignored() -> None:
    """Browsers do not turn an image for its XMP, so neither do we."""
    xmp = b'http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    content = encoded(scene(), "JPEG")
    turned = content[:2] + segment(0xE1, xmp) + content[2:]
    assert inspect_image(turned, max_pixels=CAP).width == 48


@pytest.mark.browser
def test_sizes_are_those_that_a_browser_shows(tmp_path: Path) -> None:
    """For every format and orientation the facts say what Chromium says, which reviewers draw in."""
    block = Image.Exif()
    cases = {}
    for form in FORMATS:
        for orientation in range(1, 9):
            block[0x0112] = orientation
            cases[f"{form} {orientation}"] = encoded(scene(), form, exif=block)
    assert shown_by_chromium(cases, tmp_path) == {
        name: [facts.width, facts.height]
        for name, content in cases.items()
        for facts in [inspect_image(content, max_pixels=CAP)]
    }


def shown_by_chromium(cases: dict[str, bytes], folder: Path) -> dict[str, list[int]]:
    """Natural width and height of each image, read off the page's title."""
    sources = {name: f"data:application/octet-stream;base64,{b64encode(c).decode()}" for name, c in cases.items()}
    script = """
        Promise.all(Object.entries(sources).map(([name, src]) => new Promise((resolve, reject) => {
            const image = new Image();
            image.onload = () => resolve([name, [image.naturalWidth, image.naturalHeight]]);
            image.onerror = reject;
            image.src = src;
        }))).then(sizes => { document.title = JSON.stringify(Object.fromEntries(sizes)); });"""
    page = folder / "page.html"
    page.write_text(f"<!doctype html><title></title><script>const sources = {json.dumps(sources)};{script}</script>")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    profile = folder / "profile"
    command = [require_chromium(), *flags, f"--user-data-dir={profile}", "--virtual-time-budget=10000", "--dump-dom"]
    dom = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    shutil.rmtree(profile, ignore_errors=True)
    title = dom.split("<title>")[1].split("</title>")[0]
    sizes = json.loads(title.replace("&quot;", '"'))
    assert isinstance(sizes, dict)
    return sizes


def test_real_photographs() -> None:
    """Every image of a real data set decodes, to the size that Pillow gives it."""
    folder = require_data("bccd")
    paths = sorted(folder.glob("**/*.jpg"))[:40]
    assert len(paths) == 40
    for path in paths:
        facts, pixels = decode_image(path.read_bytes(), max_pixels=CAP)
        with Image.open(path) as image:
            assert (facts.width, facts.height) == image.size
            assert np.array_equal(pixels, np.asarray(image.convert("RGB")))


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"hello", "not an image"),
        (b"\x00" * 1000, "not an image"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "SVG"),
        (b'<?xml version="1.0"?><svg/>', "SVG"),
        (b"<!doctype html><p>", "HTML"),
        (b'{"image": "..."}', "JSON"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04....", "ZIP"),
        (b"\x00\x00\x00\x20ftypavif....", "AVIF"),
        (b"\x80\x04\x95cos\nsystem\n", "not an image"),
        (encoded(scene(), "GIF"), "GIF"),
        (encoded(scene(), "BMP"), "BMP"),
        (encoded(scene(), "TIFF"), "TIFF"),
        (encoded(scene(), "PPM"), "not an image"),
        (encoded(scene(), "ICO"), "not an image"),
        (encoded(scene(), "JPEG2000"), "not an image"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "not an image"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_files_are_named_and_refused(content: bytes, said: str) -> None:
    """What is no JPEG, PNG or WebP is refused, with what it seems to be and what to send."""
    error = refusal(content)
    assert isinstance(error, BadImage)
    assert said in error.detail
    assert "JPEG, PNG or WebP" in error.hint


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_images_are_refused(form: str, share: float, progressive: bool) -> None:
    """An image that was cut is an error, not a half-grey picture."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), form, progressive=progressive)
    error = refusal(content[: int(len(content) * share)])
    assert isinstance(error, BadImage)


@pytest.mark.parametrize("form", FORMATS)
def test_missing_last_byte_is_noticed(form: str) -> None:
    """Even one byte too few is a truncated file."""
    assert isinstance(refusal(encoded(scene(), form)[:-1]), BadImage)


def test_wrong_checksum_is_damage() -> None:
    """A PNG with a flipped bit in its pixels is refused, and the chunk named."""
    content = bytearray(encoded(scene(), "PNG"))
    content[content.index(b"IDAT") + 10] ^= 1
    assert "checksum of its IDAT chunk" in refusal(bytes(content)).detail
    with pytest.raises(BadImage):
        inspect_image(bytes(content), max_pixels=CAP)


@pytest.mark.parametrize("content", [png(0, 5), png(5, 0), png(2**31 - 1, 2**31 - 1), png(0, 0)])
def test_impossible_sizes_are_refused(content: bytes) -> None:
    """No pixels, or more than a computer has, are clear errors."""
    refusal(content)


# --- bounded cost ----------------------------------------------------------------------------------


def jpeg_claiming(width: int, height: int) -> bytes:
    content = bytearray(encoded(Image.new("L", (8, 8)), "JPEG"))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def webp_claiming(width: int, height: int) -> bytes:
    canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + encoded(scene(), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def packed_zeros(count: int) -> bytes:
    """`count` zeros as zlib packs them best, without the time that packing them takes: one packed megabyte,
    repeated, and the checksum that Adler-32 has for zeros."""
    megabytes, rest = divmod(count, 1_000_000)
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = packer.compress(bytes(rest)) + packer.flush()
    return b"\x78\xda" + block * megabytes + last + struct.pack(">HH", count % 65_521, 1)


def test_packed_zeros_are_what_they_claim() -> None:
    """The shortcut gives a valid stream."""
    assert zlib.decompress(packed_zeros(2_000_123)) == bytes(2_000_123)


def memory_to_read(content: bytes, folder: Path) -> int:
    """By how many bytes reading this image raises the peak memory of a fresh process, which has read one before."""
    if not Path("/proc/self/status").exists():
        missing("/proc (peak memory is read there)")
    (folder / "image").write_bytes(content)
    (folder / "warm-up").write_bytes(encoded(scene(), "PNG"))
    program = """
import sys
from pathlib import Path
from loop.domain.errors import Invalid
from serving.images import decode_image
def peak(path):
    content = Path(path).read_bytes()
    try:
        decode_image(content, max_pixels=40_000_000)
    except Invalid:
        pass
    # Not getrusage, whose peak a process inherits from its parent.
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1]) - len(content)
before = peak(sys.argv[1])
print(peak(sys.argv[2]) - before)
"""
    command = [sys.executable, "-W", "ignore", "-c", program, str(folder / "warm-up"), str(folder / "image")]
    return int(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)


def test_memory_is_measured(tmp_path: Path) -> None:
    """The measure notices an image that is decoded: 4 million pixels take at least 12 MB."""
    assert memory_to_read(encoded(Image.new("RGB", (2000, 2000)), "PNG"), tmp_path) > 12_000_000


def test_thirty_thousand_squared_png_is_refused_from_its_header(tmp_path: Path) -> None:
    """A complete 30,000 x 30,000 PNG of under a megabyte costs next to nothing and names the numbers."""
    bomb = png(30_000, 30_000, pixels=packed_zeros(30_000 * 30_001))
    assert len(bomb) < 1_000_000
    error = refusal(bomb)
    assert isinstance(error, PayloadTooLarge)
    assert "900,000,000" in error.detail
    assert "40,000,000" in error.detail
    assert "limits.max_image_pixels" in error.hint
    assert memory_to_read(bomb, tmp_path) < 20_000_000


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [6_400, 9_500, 13_000, 30_000])
@pytest.mark.parametrize("claim", [png, jpeg_claiming])
def test_sizes_above_the_cap_are_refused(claim: object, side: int) -> None:
    """Below, between and above Pillow's own warnings the answer is the same kind of error."""
    assert callable(claim)
    error = refusal(claim(side, side))
    assert isinstance(error, PayloadTooLarge)
    assert f"{side * side:,}" in error.detail


@pytest.mark.parametrize("side", [6_400, 16_384, 2**24])
def test_webp_canvas_above_the_cap_is_refused(side: int) -> None:
    """A WebP that claims a huge canvas around a small picture is an error too."""
    refusal(webp_claiming(side, side))


@pytest.mark.parametrize("form", FORMATS)
def test_cap_counts_pixels_exactly(form: str) -> None:
    """An image with just as many pixels as allowed passes, one more does not."""
    content = encoded(scene(48, 32), form)
    assert decode_image(content, max_pixels=48 * 32)[0].width == 48
    assert isinstance(refusal(content, max_pixels=48 * 32 - 1), PayloadTooLarge)


@pytest.mark.filterwarnings("error")
def test_bomb_is_refused_where_warnings_are_errors() -> None:
    """The answer does not depend on the process's warning filters."""
    assert isinstance(refusal(png(9_500, 9_500)), PayloadTooLarge)


@pytest.mark.parametrize(
    "content",
    [
        png(8, 8, pixels=packed_zeros(100_000_000)),
        png(
            8, 8, extra=chunk(b"iCCP", b"profile\x00\x00" + packed_zeros(100_000_000)), pixels=zlib.compress(bytes(72))
        ),
        jpeg_claiming(30_000, 30_000),
        webp_claiming(13_000, 13_000),
    ],
    ids=["more data than pixels", "profile", "JPEG", "WebP"],
)
def test_bombs_cost_little_memory(tmp_path: Path, content: bytes) -> None:
    """Neither surplus data nor metadata nor a claimed size makes reading expensive."""
    refused_or_right(content)
    assert memory_to_read(content, tmp_path) < 20_000_000


def test_metadata_is_never_unpacked() -> None:
    """Text, profile and EXIF bombs in a PNG are dropped unread: the image itself is fine."""
    bomb = packed_zeros(100_000_000)
    extra = b"".join(
        [
            chunk(b"zTXt", b"Comment\x00\x00" + bomb),
            chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + bomb),
            chunk(b"iCCP", b"profile\x00\x00" + bomb),
            chunk(b"tEXt", b"Raw profile type exif\x00" + b"\nexif\n9\nzz"),
            chunk(b"eXIf", exif(1) + b"A" * 1_000_000),
        ]
    )
    content = png(8, 8, extra=extra, pixels=zlib.compress(bytes(8 * 9)))
    facts, pixels = decode_image(content, max_pixels=CAP)
    assert (facts.width, facts.height, pixels.max()) == (8, 8, 0)


def test_flood_of_png_chunks_is_refused() -> None:
    """More chunks than any encoder writes are damage, not minutes of work."""
    content = png(8, 8, extra=chunk(b"teSt") * MAX_PNG_CHUNKS, pixels=zlib.compress(bytes(8 * 9)))
    assert "chunks" in refusal(content).detail


def test_flood_of_jpeg_scans_is_refused() -> None:
    """Each scan of a few bytes costs a pass over all coefficients, so their number is bounded."""
    content = encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    few = content[:-2] + last * 10 + content[-2:]
    many = content[:-2] + last * MAX_JPEG_SCANS + content[-2:]
    assert decode_image(few, max_pixels=CAP)[0].width == 64
    assert "scans" in refusal(many).detail


def test_marker_bytes_in_metadata_are_no_scans() -> None:
    """A thumbnail or an appended film holds marker bytes; they do not count."""
    content = encoded(scene(), "JPEG")
    fake = b"\xff\xda" * 1000
    assert decode_image(content[:2] + segment(0xE2, fake) + content[2:] + fake, max_pixels=CAP)[0].width == 48


# --- polyglots and fuzz ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"PK\x03\x04zip", b"%PDF-1.4", bytes(1000)])
def test_what_follows_the_image_is_ignored(form: str, tail: bytes) -> None:
    """A file that is also something else is only ever read as the image that it begins with."""
    content = encoded(scene(), form)
    facts, pixels = decode_image(content + tail, max_pixels=CAP)
    assert facts.media_type == f"image/{form.lower()}"
    assert np.array_equal(pixels, decode_image(content, max_pixels=CAP)[1])


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
def test_two_images_in_one_are_the_first(first: str, second: str) -> None:
    """Appending another image changes nothing, or is refused."""
    content = encoded(scene(48, 32), first)
    try:
        facts, _ = decode_image(content + encoded(scene(16, 16, seed=1), second), max_pixels=CAP)
    except BadImage:
        return
    assert (facts.width, facts.height) == (48, 32)


@settings(deadline=None, max_examples=150)
@given(form=st.sampled_from(FORMATS), share=st.floats(0, 1, exclude_max=True))
def test_any_truncation_is_refused_or_right(form: str, share: float) -> None:
    """Cut anywhere, an image is refused or still whole."""
    content = encoded(scene(), form)
    refused_or_right(content[: int(len(content) * share)])


@settings(deadline=None, max_examples=300)
@given(
    form=st.sampled_from(FORMATS),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=8)), min_size=1, max_size=6),
)
def test_any_damage_is_refused_or_right(form: str, edits: list[tuple[float, bytes]]) -> None:
    """Bytes overwritten anywhere never raise anything but the two errors."""
    content = bytearray(encoded(scene(), form, exif=with_exif(6)))
    for place, data in edits:
        at = int(len(content) * place)
        content[at : at + len(data)] = data
    refused_or_right(bytes(content))


def with_exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


@settings(deadline=None, max_examples=300)
@given(
    magic=st.sampled_from([b"", b"\xff\xd8\xff\xe0", SIGNATURE, b"RIFF\x00\x10\x00\x00WEBPVP8X", b"GIF89a"]),
    noise=st.binary(max_size=400),
)
def test_any_bytes_are_refused_or_right(magic: bytes, noise: bytes) -> None:
    """Random bytes, also behind a valid signature, never raise anything but the two errors."""
    refused_or_right(magic + noise)


@settings(deadline=None, max_examples=200)
@given(
    kinds=st.lists(
        st.tuples(
            st.sampled_from([b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"gAMA", b"zzzz"]),
            st.binary(max_size=40),
        ),
        max_size=8,
    ),
    depth=st.sampled_from([1, 2, 4, 8, 16]),
    colour=st.integers(0, 7),
    interlaced=st.integers(0, 2),
)
def test_any_png_structure_is_refused_or_right(
    kinds: list[tuple[bytes, bytes]], depth: int, colour: int, interlaced: int
) -> None:
    """Chunks with right checksums in any order and with any content are refused or decoded."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, depth, colour, 0, 0, interlaced))
    pixels = chunk(b"IDAT", zlib.compress(bytes(200)))
    body = b"".join(chunk(kind, data) for kind, data in kinds)
    refused_or_right(SIGNATURE + header + body + pixels + chunk(b"IEND"))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_threads_share_nothing() -> None:
    """Many threads decoding good and bad images at once get the answers that one thread gets."""
    good = [encoded(scene(seed=seed), form) for seed in range(4) for form in FORMATS]
    bad = [content[: len(content) // 2] for content in good] + [png(9_500, 9_500)]

    def answer(content: bytes) -> NDArray[np.uint8] | str:
        try:
            return decode_image(content, max_pixels=CAP)[1]
        except Invalid as error:
            return error.detail

    alone = [answer(content) for content in good + bad]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(answer, (good + bad) * 4))
    assert all(np.array_equal(a, b) for a, b in zip(alone * 4, together, strict=True))


@pytest.mark.parametrize(("enough", "sides"), [(None, (320, 240)), (320, (320, 240)), (161, (320, 240)),
                                               (160, (160, 120)), (80, (80, 60)), (1, (40, 30))])  # fmt: skip
@pytest.mark.parametrize("orientation", [1, 6])
def test_large_jpegs_are_decoded_as_small_as_is_enough(
    enough: int | None, sides: tuple[int, int], orientation: int
) -> None:
    """Never below what was asked for; the facts are those of the whole image, upright."""
    ramp = np.tile(np.linspace(0, 255, 320, dtype=np.uint8)[None, :, None], (240, 1, 3))
    buffer = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(ramp).save(buffer, "JPEG", quality=95, exif=exif)
    facts, pixels = decode_image(buffer.getvalue(), max_pixels=40_000_000, enough=enough)
    width, height = sides
    if orientation == 6:
        assert ((facts.width, facts.height), pixels.shape) == ((240, 320), (width, height, 3))
        pixels = np.rot90(pixels)
    else:
        assert ((facts.width, facts.height), pixels.shape) == ((320, 240), (height, width, 3))
    expected = np.linspace(0, 255, width)
    assert np.abs(pixels.mean(axis=(0, 2)) - expected).max() < 6


def test_png_and_webp_are_decoded_whole() -> None:
    """Only JPEG has a cheap way to a smaller image."""
    for form in ("PNG", "WEBP"):
        buffer = BytesIO()
        Image.new("RGB", (64, 48), (10, 20, 30)).save(buffer, form)
        assert decode_image(buffer.getvalue(), max_pixels=40_000_000, enough=8)[1].shape == (48, 64, 3)
