"""A WEBP decoded at reduced size, row by row; for :mod:`backend.imaging.codecs` alone.

Pillow does not offer it, and takes 15 bytes for every pixel. The decoder is the libwebp that Pillow itself brings.
"""

from __future__ import annotations

import ctypes

import numpy as np
from PIL import Image, _webp

_ABI, _RGBA, _OUT_OF_MEMORY = 0x0209, 1, 1  # WEBP_DECODER_ABI_VERSION, MODE_RGBA, VP8_STATUS_OUT_OF_MEMORY


class _Output(ctypes.Structure):
    """``WebPDecBuffer``, its union as RGBA."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("colorspace", "width", "height", "is_external_memory")),
        *(("rgba", ctypes.c_void_p), ("stride", ctypes.c_int), ("size", ctypes.c_size_t)),
        *(("planes", ctypes.c_uint8 * 56), ("pad", ctypes.c_uint32 * 4), ("private_memory", ctypes.c_void_p)),
    )


class _Options(ctypes.Structure):
    """``WebPDecoderOptions``."""

    _fields_ = (
        ("until_scaling", ctypes.c_int * 7),
        *((name, ctypes.c_int) for name in ("use_scaling", "scaled_width", "scaled_height")),
        ("after_scaling", ctypes.c_int * 9),
    )


class _Config(ctypes.Structure):
    """``WebPDecoderConfig``."""

    _fields_ = (("input", ctypes.c_int * 10), ("output", _Output), ("options", _Options))


def scaled(data: bytes, size: tuple[int, int]) -> Image.Image:
    """Decode a still WEBP at a smaller size, (W, H), as RGBA.

    Raises:
        ValueError: It cannot be decoded to its end.
        MemoryError: There is not enough memory.
    """
    library, config = ctypes.CDLL(_webp.__file__), _Config()
    if not library.WebPInitDecoderConfigInternal(ctypes.byref(config), _ABI):
        raise RuntimeError("Pillow's libwebp has an unexpected interface.")
    width, height = size
    pixels = np.zeros((height, width, 4), np.uint8)
    config.options.use_scaling, config.options.scaled_width, config.options.scaled_height = 1, width, height
    output = config.output
    output.colorspace, output.is_external_memory = _RGBA, 1
    output.rgba, output.stride, output.size = pixels.ctypes.data, 4 * width, pixels.nbytes
    status = library.WebPDecode(data, ctypes.c_size_t(len(data)), ctypes.byref(config))
    if status == _OUT_OF_MEMORY:
        raise MemoryError
    if status:
        raise ValueError(f"libwebp failed with status {status}.")
    return Image.fromarray(pixels)
