"""Bundles as an attacker would make them, by name: each changes a good one, and hashes fit unless that is the point."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backend.bundles import bundle
from backend.retrieval.calibration import CALIBRATION
from backend.retrieval.gallery.gallery_rows import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIGABYTE = 1 << 30
FILES = (bundle.MANIFEST, bundle.WEIGHTS, bundle.VECTORS, bundle.GALLERY)


@dataclass(frozen=True)
class Attack:
    """One way to make a bundle hostile; ``rehash`` lets the manifest name what was slipped in."""

    name: str
    make: Callable[[Path], object]
    rehash: bool = True

    def on(self, folder: Path) -> Path:
        """Change a good bundle."""
        self.make(folder)
        if self.rehash:
            rehash(folder)
        return folder


def rehash(folder: Path) -> None:
    """Let the manifest name all that lies there, whatever else it says."""
    raw = json.loads((folder / bundle.MANIFEST).read_text())
    names = [path.name for path in folder.iterdir() if path.name != bundle.MANIFEST and path.is_file()]
    raw["files"] = {name: bundle.sha256_of(folder / name) for name in names if not (folder / name).is_symlink()}
    (folder / bundle.MANIFEST).write_text(json.dumps(raw))


def changed(*steps: str | int, to: Any) -> Callable[[Path], object]:
    """Put a value somewhere into the manifest."""

    def change(folder: Path) -> None:
        raw = json.loads((folder / bundle.MANIFEST).read_text())
        place = raw
        for step in steps[:-1]:
            place = place[step]
        place[steps[-1]] = to
        (folder / bundle.MANIFEST).write_text(json.dumps(raw))

    return change


def written(text: str | bytes, name: str = bundle.MANIFEST) -> Callable[[Path], object]:
    """Put other bytes into a file."""
    return lambda folder: (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


def edited(old: str, new: str) -> Callable[[Path], object]:
    """Change the manifest's text."""

    def edit(folder: Path) -> None:
        text = (folder / bundle.MANIFEST).read_text()
        assert old in text
        (folder / bundle.MANIFEST).write_text(text.replace(old, new, 1))

    return edit


def sparse(name: str, size: int) -> Callable[[Path], object]:
    """Make a file long, without filling the disk."""
    return lambda folder: os.truncate(folder / name, size)


def npy(header: str, *, version: bytes = b"\x01\x00", values: bytes = b"") -> bytes:
    """Write an array by hand."""
    text = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + values


def saved(array: Any, **options: Any) -> bytes:
    """Write an array as NumPy does."""
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def member(name: str, data: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Write a zip file of one member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def parquet(change: Callable[[pa.Table], pa.Table], **options: Any) -> Callable[[Path], object]:
    """Change the gallery's table."""

    def write(folder: Path) -> None:
        table = pq.read_table(folder / bundle.GALLERY)
        pq.write_table(change(table), folder / bundle.GALLERY, **options)

    return write


def repeated(name: str, value: Any, rows: int) -> Callable[[pa.Table], pa.Table]:
    """Make a column of one value, as often as there are rows; the other columns are the first row's."""

    def change(table: pa.Table) -> pa.Table:
        columns = []
        for field in SCHEMA:
            one = value if field.name == name else table[field.name][0].as_py()
            if one is None:
                columns.append(pa.nulls(rows, field.type))
                continue
            numbers = pa.array(np.zeros(rows, dtype=np.int32))
            dictionary = pa.array([one], field.type)
            columns.append(pa.DictionaryArray.from_arrays(numbers, dictionary))
        fields = [pa.field(f.name, c.type) for f, c in zip(SCHEMA, columns, strict=True)]
        return pa.table(columns, schema=pa.schema(fields))

    return change


def footer(length: int) -> Callable[[Path], object]:
    """Say that a gallery's footer is of another length."""

    def write(folder: Path) -> None:
        data = (folder / bundle.GALLERY).read_bytes()
        (folder / bundle.GALLERY).write_bytes(data[:-8] + struct.pack("<I", length) + data[-4:])

    return write


def in_place_of(name: str, put: Callable[[Path], object]) -> Callable[[Path], object]:
    """Put something that is no plain file in the place of one."""

    def replace(folder: Path) -> None:
        (folder / name).rename(folder.parent / f"kept-{name}")
        put(folder / name)

    return replace


def _link(path: Path) -> None:
    path.symlink_to(path.parent.parent / f"kept-{path.name}")


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


SHAPE = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"

MANIFESTS = [
    Attack(name, make, rehash=False)
    for name, make in {
        "empty": written(""),
        "not json": written("PK\x03\x04"),
        "not utf-8": written(b'{"name": "\xff"}'),
        "utf-16": written('{"format_version": 1}'.encode("utf-16")),
        "a list": written("[1, 2]"),
        "null": written("null"),
        "deep": written("[" * 1_000_000),
        "deep below a name": written('{"format_version": 1, "config": ' + '{"a":' * 500_000),
        "huge": written('{"format_version": 1, "name": "' + "a" * 50_000_000 + '"}'),
        "sparse terabyte": sparse(bundle.MANIFEST, 1024 * GIGABYTE),
        "many small values": written('{"format_version": 1, "config": {"a": [' + "[]," * 1_300_000 + "[]]}}"),
        "long number": written('{"format_version": 1, "seed": ' + "9" * 1_000_000 + "}"),
        "version is a text": changed("format_version", to="1"),
        "version is true": changed("format_version", to=True),
        "twice": edited('"name":', '"name": "other", "name":'),
        "an unknown field": changed("run_me", to="os.system"),
        "no pixels": changed("pixels", to=None),
        "nan seed": changed("seed", to=float("nan")),
        "infinite dropout": changed("config", to={"dropout": float("inf")}),
        "1e999": edited('"seed": 3', '"seed": 1e999'),
        "nan in the origin": changed("origin", to={"deep": [float("nan")]}),
        "half a character": changed("classes", to=["\ud800"]),
        "half a character in a name": changed("config", to={"\udfff": 1}),
        "classes are numbers": changed("classes", to=[1, 2]),
        "classes are a text": changed("classes", to="abc"),
        "metrics are texts": changed("metrics", to={"test.map_at_r": "<b>"}),
        "libraries are lists": changed("libraries", to=["numpy"]),
        "seed is true": changed("seed", to=True),
        "created by a number": changed("created_at", to=5),
        "created never": changed("created_at", to="<script>"),
        "a path as name": changed("name", to="../../etc"),
        "an absolute name": changed("name", to="/etc/passwd"),
        "no name": changed("name", to=""),
        "a name of nul": changed("name", to="a\0b"),
        "a long name": changed("name", to="a" * 5_000),
        "a path as catalogue": changed("catalogue", "name", to="../x"),
        "version below zero": changed("catalogue", "version", to=-1),
        "threads below zero": changed("threads", to=-5),
        "no height": changed("pixels", "height", to=0),
        "height of a million": changed("pixels", "height", to=1_000_000),
        "two channels": changed("pixels", "channels", to=2),
        "a background nobody knows": changed("pixels", "background", to="red"),
        "embedding of nothing": changed("embedding_size", to=0),
        "embedding of everything": changed("embedding_size", to=2**60),
        "embedding is a fraction": changed("embedding_size", to=12.5),
        "index is a list": changed("index", to=[]),
        "index below zero": changed("index", "size", to=-1),
        "index without end": changed("index", "size", to=2**70),
        "more scored than searched": changed("index", "scored_size", to=10**9),
        "splits are a text": changed("index", "splits", to="train"),
        "files are a list": changed("files", to=["weights.npz"]),
        "a path as file": changed("files", to={"../weights.npz": "0" * 64}),
        "an absolute file": changed("files", to={"/etc/passwd": "0" * 64}),
        "a file in a folder": changed("files", to={"a/b": "0" * 64}),
        "a checksum of another make": changed("files", bundle.WEIGHTS, to="md5"),
        "a checksum is a number": changed("files", bundle.WEIGHTS, to=7),
    }.items()
]

CONTENT = [
    Attack("a changed file", written(b"other", bundle.WEIGHTS), rehash=False),
    Attack("a missing file", lambda folder: (folder / bundle.WEIGHTS).unlink(), rehash=False),
    Attack("an unknown file", written(b"x", "extra.pkl"), rehash=False),
    Attack("a folder", lambda folder: (folder / "saved_model").mkdir()),
    Attack("a sparse terabyte of weights", sparse(bundle.WEIGHTS, 1024 * GIGABYTE), rehash=False),
    Attack("a sparse terabyte of vectors", sparse(bundle.VECTORS, 1024 * GIGABYTE), rehash=False),
    Attack("a sparse terabyte of gallery", sparse(bundle.GALLERY, 1024 * GIGABYTE), rehash=False),
    Attack("an index of another kind", changed("index", "kind", to="__import__")),
    Attack(
        "fewer items than vectors", lambda folder: [changed("index", k, to=5)(folder) for k in ("scored_size", "size")]
    ),
    Attack("other dimensions", changed("embedding_size", to=13)),
]

VECTORS = [
    Attack(f"vectors: {name}", written(data, bundle.VECTORS))
    for name, data in {
        "empty": b"",
        "objects": saved(np.array([[{"code": 1}]], dtype=object), allow_pickle=True),
        "doubles": saved(np.zeros((60, 12))),
        "one dimension": saved(np.zeros(720, dtype=np.float32)),
        "three dimensions": saved(np.zeros((60, 12, 1), dtype=np.float32)),
        "by columns": saved(np.asfortranarray(np.ones((60, 12), dtype=np.float32))),
        "big-endian": saved(np.zeros((60, 12), dtype=">f4")),
        "a huge shape": npy(SHAPE % "999999999999, 12"),
        "beyond any number": npy(SHAPE % ("9" * 400 + ", 12")),
        "below zero": npy(SHAPE % "-60, 12"),
        "a product that wraps": npy(SHAPE % "4294967296, 4294967296"),
        "truncated": saved(np.zeros((60, 12), dtype=np.float32))[:-4],
        "with more behind": saved(np.zeros((60, 12), dtype=np.float32)) + b"0000",
        "code in the header": npy("__import__('os').system('true')"),
        "a deep header": npy("(" * 60_000),
        "records": npy(
            "{'descr': [('a', '<f4', (60, 12))], 'fortran_order': False, 'shape': (1,), }", values=bytes(2880)
        ),
        "version 9": npy(SHAPE % "60, 12", version=b"\x09\x00", values=bytes(2880)),
        "a zip file": member("a.npy", saved(np.zeros((60, 12), dtype=np.float32))),
        "not a number": saved(np.full((60, 12), np.nan, dtype=np.float32)),
        "not of length one": saved(np.full((60, 12), 1e30, dtype=np.float32)),
    }.items()
]

GALLERIES = [
    Attack("gallery: empty", written(b"", bundle.GALLERY)),
    Attack("gallery: marks only", written(b"PAR1PAR1", bundle.GALLERY)),
    Attack("gallery: a footer of gigabytes", footer(2**32 - 1)),
    Attack("gallery: a footer before the file", footer(10_000_000)),
    Attack("gallery: a footer of nothing", footer(0)),
    Attack("gallery: a footer of something else", footer(50)),
    Attack("gallery: a column less", parquet(lambda table: table.drop_columns(["brand"]))),
    Attack("gallery: a column twice", parquet(lambda table: table.append_column("title", table["title"]))),
    Attack(
        "gallery: ids are numbers",
        parquet(lambda table: table.set_column(0, "product_id", pa.array(np.arange(len(table))))),
    ),
    Attack("gallery: fewer rows", parquet(lambda table: table.slice(0, 5))),
    Attack("gallery: no rows", parquet(lambda table: table.slice(0, 0))),
    Attack("gallery: millions of rows of nothing", parquet(repeated("title", None, 5_000_000), compression="zstd")),
    Attack("gallery: a long text many times", parquet(repeated("title", "a" * 1_000_000, 60), compression="zstd")),
    Attack("gallery: truncated", lambda folder: os.truncate(folder / bundle.GALLERY, 1_000)),
]

NO_FILES = [
    Attack(f"{kind} in the place of {name}", in_place_of(name, put), rehash=False)
    for name in FILES
    for kind, put in {
        "a link": _link,
        "a link to a device": _device,
        "a link to nowhere": lambda path: path.symlink_to(path.with_name("nowhere")),
        "a named pipe": os.mkfifo,
        "a folder": os.mkdir,
        "nothing": lambda path: None,
    }.items()
]

_FITTED = {
    "format_version": 1,
    "similarities": [0.1, 0.9],
    "probabilities": [0.2, 0.8],
    "threshold": 0.5,
    "precision_target": 0.9,
    "queries": 10,
}

CALIBRATIONS = [
    Attack(f"calibration: {name}", written(text, CALIBRATION))
    for name, text in {
        "empty": "",
        "deep": "[" * 500_000,
        "of texts": json.dumps({**_FITTED, "similarities": ["a", "b"]}),
        "not a number": json.dumps({**_FITTED, "probabilities": [float("nan"), 1.0]}),
        "backwards": json.dumps({**_FITTED, "similarities": [0.9, 0.1]}),
        "a threshold of true": json.dumps({**_FITTED, "threshold": True}),
        "without end": json.dumps({**_FITTED, "similarities": [0.1] * 300_000}),
        "with another field": json.dumps({**_FITTED, "run": "me"}),
    }.items()
]

ATTACKS = {attack.name: attack for attack in (*MANIFESTS, *CONTENT, *VECTORS, *GALLERIES, *CALIBRATIONS, *NO_FILES)}


def make_all(good: Path, place: Path) -> list[Path]:
    """Make a folder of hostile bundles, each in a folder of its own, named by what it is."""
    made = []
    for number, attack in enumerate(ATTACKS.values()):
        parent = place / f"{number:03d}"
        folder = shutil.copytree(good, parent / good.name)
        made.append(attack.on(folder))
    return made
