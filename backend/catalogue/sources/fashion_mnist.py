"""The four official Fashion-MNIST files: found or downloaded, checked, and read as arrays.

Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
2017, arXiv:1708.07747. The IDX format is that of MNIST: a big-endian magic number and sizes, then raw bytes.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.catalogue.sources.download import download, md5_of
from backend.errors import DatasetDamaged, DatasetUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from backend.catalogue.sources.download import Patience
    from backend.progress import Progress
    from backend.settings import Settings

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"

# MD5 by file name, as published with the data.
CHECKSUMS: dict[str, str] = {
    TRAIN_IMAGES: "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    TRAIN_LABELS: "25c81989df183df01b3e8a0aad5dffbe",
    TEST_IMAGES: "bef4ecab320f06d8554ea6380940ec79",
    TEST_LABELS: "bb300cfdad3c16e7a12a480ee83cd310",
}
# The official names, in the order of the label bytes 0..9, and the department each belongs to.
LABELS: tuple[str, ...] = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
CATEGORIES: tuple[str, ...] = (
    "Tops",
    "Bottoms",
    "Tops",
    "Dresses",
    "Outerwear",
    "Footwear",
    "Tops",
    "Footwear",
    "Bags",
    "Footwear",
)
_IMAGES_MAGIC = 0x00000803  # unsigned bytes, three dimensions
_LABELS_MAGIC = 0x00000801  # unsigned bytes, one dimension


def find_locally(settings: Settings) -> Path | None:
    """Return the folder that has all four files: the one set by the user, else the cache; None where they are not.

    Raises:
        DatasetUnavailable: ``fashion_mnist_dir`` is set, and a file is missing in it.
    """
    if settings.fashion_mnist_dir:
        folder = Path(settings.fashion_mnist_dir).expanduser()
        missing = [name for name in CHECKSUMS if not (folder / name).is_file()]
        if missing:
            raise DatasetUnavailable(
                f"TWINSET_FASHION_MNIST_DIR is {folder}, and {missing[0]} is not in it.",
                next_step="Correct the folder, or remove the setting to download the files.",
            )
        return folder
    folder = settings.cache_dir / "fashion-mnist"
    return folder if all((folder / name).is_file() for name in CHECKSUMS) else None


def obtain(
    settings: Settings,
    progress: Progress,
    *,
    checksums: Mapping[str, str] = CHECKSUMS,
    patience: Patience | None = None,
) -> Path:
    """Return a folder with the four files, each with the right checksum; download what is not here.

    Raises:
        DatasetUnavailable: A file is neither here nor to be had.
        DatasetDamaged: A file has another checksum.
        StorageFull: No space is left for the download.
        Cancelled: The user asked to stop; what has arrived is kept.
    """
    folder = find_locally(settings)
    if folder is None:
        folder = settings.cache_dir / "fashion-mnist"
        folder.mkdir(parents=True, exist_ok=True)
        for number, (name, md5) in enumerate(checksums.items()):
            if not (folder / name).is_file():
                on_bytes = _reporter(progress, number, len(checksums), name)
                url = f"{settings.fashion_mnist_url.rstrip('/')}/{name}"
                download(url, folder / name, md5=md5, on_bytes=on_bytes, patience=patience)
    verify(folder, checksums)
    return folder


def verify(folder: Path, checksums: Mapping[str, str] = CHECKSUMS) -> None:
    """Check that every file is there with its MD5.

    Raises:
        DatasetUnavailable: A file is missing.
        DatasetDamaged: A file has another checksum; the message names both.
    """
    for name, expected in checksums.items():
        path = folder / name
        if not path.is_file():
            raise DatasetUnavailable(f"{name} is not in {folder}.", next_step="Copy all four files there.")
        if (found := md5_of(path)) != expected:
            raise DatasetDamaged(
                f"{path} is damaged: its MD5 is {found}, not {expected}.",
                next_step="Delete the file and download it again.",
            )


def read_images(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of pictures: uint8 (N, H, W), 0 is black; official files have H = W = 28.

    Raises:
        DatasetUnavailable: There is no such file.
        DatasetDamaged: It is no complete IDX file of pictures.
    """
    return _read_idx(path, _IMAGES_MAGIC, dimensions=3)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of labels: uint8 (N,), positions in :data:`LABELS`.

    Raises:
        DatasetUnavailable: There is no such file.
        DatasetDamaged: It is no complete IDX file of labels, or a label has no name.
    """
    labels = _read_idx(path, _LABELS_MAGIC, dimensions=1)
    if labels.size and int(labels.max()) >= len(LABELS):
        raise DatasetDamaged(f"{path} has the label {int(labels.max())}; the largest valid one is {len(LABELS) - 1}.")
    return labels


def _read_idx(path: Path, magic: int, *, dimensions: int) -> NDArray[np.uint8]:
    try:
        raw = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise DatasetUnavailable(f"{path} does not exist.", next_step="Copy the file there.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetDamaged(f"{path} cannot be unpacked: {error}.", next_step="Download the file again.") from error
    offset = 4 * (1 + dimensions)
    header = np.frombuffer(raw[:offset], dtype=">i4") if len(raw) >= offset else np.zeros(1, dtype=">i4")
    if header[0] != magic:
        raise DatasetDamaged(
            f"{path} is not an IDX file of this kind: it starts with {int(header[0]):#010x}, not {magic:#010x}.",
            next_step="Check that this is the right one of the four files.",
        )
    shape = tuple(int(size) for size in header[1:])
    if len(raw) - offset != int(np.prod(shape)):
        raise DatasetDamaged(
            f"{path} has {len(raw) - offset:,} bytes, but its header says {int(np.prod(shape)):,}.",
            next_step="Download the file again.",
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=offset).reshape(shape)


def _reporter(progress: Progress, number: int, files: int, name: str) -> Callable[[int, int], None]:
    """Turn bytes of one file into progress over all of them; what it returns raises ``Cancelled``."""

    def on_bytes(done: int, total: int) -> None:
        progress.check_cancelled()
        share = done / total if total else 0.0
        note = f"Downloading {name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB"
        progress.report(number + share, files, unit="files", note=note)

    return on_bytes
