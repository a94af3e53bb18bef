"""A first look in a process of its own: it says the same as a preview, and whatever goes wrong there is a sentence."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from PIL import Image

from backend.catalogue.sources.looking import LIMITS, Looking, Question
from backend.catalogue.sources.preview import preview
from backend.errors import CatalogueError, DatasetUnavailable
from tests.support.pictures import encoded, put

pytestmark = pytest.mark.slow  # each look imports Arrow in a new process
PATIENCE_S = 600


def seen(kind, path, limits=LIMITS, **how):
    with Looking(Question(kind, str(path), **how), limits) as looking:
        found = looking.found(PATIENCE_S)
    assert not psutil.pid_exists(looking.pid)
    return found


def test_it_sees_what_a_preview_sees(tmp_path):
    put(tmp_path / "folder", "bag/1.jpg", "hat/2.png", "hat/3.bmp")
    found = seen("folder", tmp_path / "folder")
    assert found.preview == preview("folder", tmp_path / "folder")
    assert found.tables.usual == "none"
    table = {"sku": ["A", "B"], "raw": [encoded(1), b"none"], "part": ["Training", None], "kind": ["bag", "bag"]}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    assert seen("parquet", tmp_path / "t.parquet").preview == preview("parquet", tmp_path / "t.parquet")
    write_deltalake(tmp_path / "delta", pa.table({"sku": ["A"], "image": ["a.png"]}))
    assert seen("delta", tmp_path / "delta").preview == preview("delta", tmp_path / "delta")
    columns = {"image": "raw", "split": "part", "label": "kind"}
    by_hand = seen("parquet", tmp_path / "t.parquet", columns=tuple(columns.items())).preview
    assert by_hand == preview("parquet", tmp_path / "t.parquet", columns=columns)


def test_of_several_tables_none_is_taken_unasked(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "one.csv").write_text("sku,image\nA,a.png\n")
    (tmp_path / "two.csv").write_text("sku,image\nB,a.png\n")
    found = seen("folder", tmp_path)
    assert (found.tables.top, found.preview) == (("one.csv", "two.csv"), None)
    assert [row.product_id for row in seen("folder", tmp_path, table="two.csv").preview.rows] == ["B"]


def test_refusals_are_those_of_a_preview(tmp_path):
    with pytest.raises(DatasetUnavailable):
        seen("csv", tmp_path / "none.csv")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(CatalogueError, match=r"a\.parquet is not a Parquet file, or it is damaged"):
        seen("parquet", tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (replace(LIMITS, wall_s=0.05), "takes longer than"),
        (replace(LIMITS, answer_bytes=100), "has more metadata"),
        (replace(LIMITS, memory_bytes=700_000_000), "needs more memory"),
    ],
)
def test_what_takes_too_much_is_refused_with_a_next_step(tmp_path, limits, said):
    put(tmp_path, "a.png")
    rows = (f"A{number},a.png,{'x' * 1_000}\n" for number in range(60_000))
    (tmp_path / "big.csv").write_text("sku,image,title\n" + "".join(rows))
    with pytest.raises(CatalogueError, match=rf"big\.csv {said}") as caught:
        seen("csv", tmp_path / "big.csv", limits)
    assert caught.value.next_step


def test_a_look_that_nobody_waits_for_any_more_is_ended(tmp_path):
    (tmp_path / "big.csv").write_text("sku,image\n" + "A,a.png\n" * 300_000)
    with Looking(Question("csv", str(tmp_path / "big.csv"))) as looking:
        assert looking.found(0.01) is None
    assert not psutil.pid_exists(looking.pid)


def strips(path, count, size):
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "PNG")
    cell = base64.b64encode(buffer.getvalue()).decode()
    path.write_text("id,image,label\n" + "".join(f'{row},"data:image/png;base64,{cell}",hat\n' for row in range(count)))
    return path


def test_strips_in_a_table_are_refused(tmp_path):
    """Each picture has few bytes and few pixels, and becomes gigabytes where it is brought to a square as it is."""
    found = seen("csv", strips(tmp_path / "strips.csv", 41, (65_500, 8)))
    assert [row.reason.partition(":")[0] for row in found.preview.rows] == ["too_narrow"] * 12


def test_the_strip_in_the_table_of_the_attack_is_refused_and_all_else_shown(security_case):
    found = seen("csv", security_case("strip_catalogue.csv"))
    assert (found.preview.total, len(found.preview.rows)) == (41, 12)
    refused = {row.product_id: row.reason for row in found.preview.rows if row.thumbnail is None}
    assert list(refused) == ["bomb"]
    assert refused["bomb"].startswith("too_narrow")
