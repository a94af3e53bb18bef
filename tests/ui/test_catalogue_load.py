"""Loading products: choosing a source, looking at it, checking it, and deciding on what the check found."""

from __future__ import annotations

import html
import io
import zipfile
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app import state
from app.components import looks
from app.components.jobs.result import sentences
from app.components.loading import options
from backend.catalogue.items import IngestReport, LoadCounts
from backend.catalogue.loading.pictures import FACT_SCHEMA
from backend.catalogue.loading.quarantine_export import export_quarantine
from backend.catalogue.loading.staged_rejects import StagedRejects
from backend.catalogue.loading.staging import StagedLoad
from backend.catalogue.schemas import QUARANTINE_SCHEMA
from backend.catalogue.sources import looking
from backend.catalogue.sources.saved_mappings import mapping_named, save_mapping
from backend.flow.requests import CommitRequest, IngestRequest
from tests.support.pictures import encoded, put
from tests.support.shop_exports import EXPORTS
from tests.ui.conftest import assert_calm, finished, grid, open_popover, press, texts, write_catalogue

STAGED = "0123456789abcdef"
REPORT = IngestReport(
    catalogue="shop",
    source="autumn.zip",
    base_version=4,
    version=None,
    staged=STAGED,
    kept=58,
    rejected={"damaged": 2, "no_id": 1},
    counts=LoadCounts(new=3, changed=2, unchanged=53, gone=4),
    by_split={"train": 50, "test": 8},
    by_label={"blob": 30, "checks": 27, "": 1},
    duplicates=2,
    leaks=1,
    notes=("1 products have no label: they appear in results, but Twinset does not learn from them.",),
    seconds=3.0,
)


def zipped(**pictures: bytes) -> bytes:
    """A zip with a picture for each name; two underscores stand for a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, image in pictures.items():
            archive.writestr(f"{name.replace('__', '/')}.png", image)
    return buffer.getvalue()


def choose(screen, source: str):
    return screen.open("catalogue").radio(key="ingest_source").set_value(source).run()


def upload(screen, name: str, data: bytes):
    test = choose(screen, "upload")
    return test.file_uploader[0].upload(name, data, "application/octet-stream").run()


@pytest.fixture
def uploaded(screen):
    """The page after an upload of three pictures in two folders."""
    data = zipped(bag__one=encoded(1), bag__two=encoded(2), hat__three=encoded(3))
    return upload(screen, "Été 2026.zip", data)


# ------------------------------------------------------------------------------------------------- sources


def test_an_upload_is_offered_first(screen):
    assert screen.open("catalogue").radio(key="ingest_source").value == "upload"
    write_catalogue(screen.settings, "shop")
    assert screen.open("catalogue").radio(key="ingest_source").value == "upload"


def test_a_built_in_source_is_loaded_at_once_or_checked_first(screen):
    test = choose(screen, "fashion-mnist")
    test.number_input(key="ingest_validation").set_value(0.2)
    press(test, "Load products")
    press(choose(screen, "sample"), "Check first")
    checked, loaded = screen.runner.list()
    assert (loaded.request["source"], loaded.request["validation_share"]) == ("fashion-mnist", 0.2)
    assert (loaded.request["check_only"], checked.request["check_only"]) == (False, True)


def test_the_form_closes_once_something_is_sent(screen, shop_catalogue):
    test = choose(screen, "sample")
    assert not load_form(test).proto.expanded
    assert load_form(open_popover(test, state.LOAD_FORM)).proto.expanded
    press(test, "Check first")
    assert screen.runner.list()[0].request["check_only"]
    assert not load_form(test).proto.expanded


def test_the_form_is_open_on_an_empty_home(screen):
    assert load_form(screen.open("catalogue")).proto.expanded


def load_form(test):
    return next(expander for expander in test.expander if expander.label == "Load products")


def test_without_roots_the_server_is_not_offered_and_the_page_says_how(screen):
    test = choose(screen, "upload")
    assert "Use a folder or file on the server" not in test.radio(key="ingest_source").options
    assert "ask your Twinset administrator to allow their folder" in texts(test)


def test_a_folder_on_the_server_is_looked_at(screen, tmp_path):
    put(tmp_path / "photos", "bag/1.jpg", "bag/2.jpg", "hat/3.jpg")
    screen.settings = replace(screen.settings, source_roots=str(tmp_path))
    test = choose(screen, "server")
    test.text_input(key="source_path").set_value(str(tmp_path / "photos")).run()
    assert_calm(test)
    assert "Folder of pictures" in texts(test)
    assert {card["id"] for card in grid(test)} == {"bag/1", "bag/2", "hat/3"}
    press(test, "Check")
    (job,) = screen.runner.list()
    assert (job.request["source"], job.request["path"]) == ("folder", str(tmp_path / "photos"))


@pytest.mark.parametrize(("path", "said"), [("..", "is not in a folder"), ("nothing", "does not exist")])
def test_a_wrong_path_on_the_server_is_a_sentence(screen, tmp_path, path, said):
    (tmp_path / "roots").mkdir()
    screen.settings = replace(screen.settings, source_roots=str(tmp_path / "roots"))
    test = choose(screen, "server")
    test.text_input(key="source_path").set_value(str(tmp_path / "roots" / path)).run()
    assert not test.exception
    assert said in test.error[0].value
    assert [button.label for button in test.button] == []


def test_an_upload_is_shown_with_pictures_and_labels(uploaded):
    assert_calm(uploaded)
    assert {card["id"] for card in grid(uploaded)} == {"bag/one", "bag/two", "hat/three"}
    assert all(card["src"].startswith("data:image/") for card in grid(uploaded))
    shown = texts(uploaded)
    assert "3 products" in shown
    assert "2 labels: bag 2, hat 1" in shown


def test_an_upload_is_dropped_for_another(uploaded):
    press(uploaded, "Choose another file")
    assert len(uploaded.file_uploader) == 1
    assert not uploaded.get("bidi_component")


def test_a_file_that_is_none_of_products_is_a_sentence(screen):
    test = upload(screen, "broken.zip", b"this is no zip")
    assert not test.exception
    assert "broken.zip is not a zip file" in test.error[0].value
    assert len(test.file_uploader) == 1


def bomb() -> bytes:
    """A table of a few kB in which every row refers to one long text."""
    label = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array(["x" * 100_000]))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": list(map(str, range(100_000))), "label": label}), buffer, compression="zstd")
    return buffer.getvalue()


def test_a_table_that_takes_too_much_is_a_sentence_and_the_next_one_is_shown(screen):
    test = upload(screen, "bomb.parquet", bomb())
    assert not test.exception
    assert "The texts in bomb.parquet come to 10.0 GB" in test.error[0].value
    assert not [button for button in test.button if button.label == "Check"]
    press(test, "Choose another file")
    test.file_uploader[0].upload("good.zip", zipped(bag__one=encoded(1)), "application/zip").run()
    assert_calm(test)
    assert "1 product" in texts(test)


@pytest.mark.parametrize(
    ("limits", "said"), [({"wall_s": 0.05}, "takes longer than"), ({"answer_bytes": 9}, "has more metadata")]
)
def test_a_look_that_is_ended_says_why_and_is_not_tried_at_every_click(screen, monkeypatch, limits, said):
    begun = []

    class Looking(looking.Looking):
        def __init__(self, question):
            begun.append(question)
            super().__init__(question, replace(looking.LIMITS, **limits))

    monkeypatch.setattr(looks, "Looking", Looking)
    test = upload(screen, "a.zip", zipped(bag__one=encoded(1)))
    for _ in range(2):
        assert said in test.error[0].value
        assert "Split it into several smaller files" in test.error[0].value
        test.run()
    assert len(begun) == 1
    press(test, "Choose another file")
    monkeypatch.setattr(looks, "Looking", looking.Looking)
    test.file_uploader[0].upload("b.zip", zipped(bag__two=encoded(2)), "application/zip").run()
    assert_calm(test)
    assert "1 product" in texts(test)


def test_looks_take_turns(screen, uploaded):
    turns = looks._shared().turns
    for _ in range(looks.AT_ONCE):
        assert turns.acquire(blocking=False)  # nobody holds one any more
    for _ in range(looks.AT_ONCE):
        turns.release()


def test_an_upload_beyond_the_limit_is_refused(screen):
    screen.settings = replace(screen.settings, max_source_upload_mb=1)
    test = upload(screen, "large.zip", zipped(bag__one=bytes(1_020_000)))
    assert test.file_uploader[0].proto.max_upload_size_mb == 1  # the browser refuses it before it is sent
    assert "larger than the 1 MB allowed" in test.error[0].value


def test_a_picture_that_cannot_be_read_is_shown_with_its_reason(screen):
    test = upload(screen, "bad.zip", zipped(bag__one=encoded(1), bag__two=b"no picture"))
    cards = {card["id"]: card for card in grid(test)}
    assert cards["bag/two"]["badges"] == ["Unusable"]
    assert cards["bag/two"]["lines"][-1].startswith("This is not a PNG, JPEG, WEBP, HEIC, AVIF, GIF or TIFF picture.")
    assert cards["bag/two"]["src"] == ""


def test_labels_can_be_left_out(screen, uploaded):
    uploaded.radio(key="source_label_from").set_value("none").run()
    assert {card["title"] for card in grid(uploaded)} == {"No label"}
    press(uploaded, "Check")
    assert screen.runner.list()[0].request["label_from"] == "none"


# ------------------------------------------------------------------------------------------------- tables


def table_zip(header: str = "SKU,Photo,Kind,Name") -> bytes:
    """A zip with a table and the two pictures it names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("shop.csv", f"{header}\np1,a.png,bag,Tote\np2,b.png,hat,Cap\n")
        archive.writestr("a.png", encoded(1))
        archive.writestr("b.png", encoded(2))
    return buffer.getvalue()


def column(test, field: str):
    return next(box for box in test.selectbox if str(box.key).startswith("column_") and box.key.endswith(f"_{field}"))


def test_columns_are_guessed_and_can_be_changed(screen):
    test = upload(screen, "shop.zip", table_zip())
    assert_calm(test)
    assert [column(test, field).value for field in ("product_id", "image", "title", "price")] == [
        "SKU",
        "Photo",
        "Name",
        None,
    ]
    assert {card["title"] for card in grid(test)} == {"Tote", "Cap"}
    column(test, "title").select("SKU").run()
    assert {card["title"] for card in grid(test)} == {"p1", "p2"}
    press(test, "Check")
    assert screen.runner.list()[0].request["columns"]["title"] == "SKU"


def test_a_shop_export_is_recognised_and_shown_with_values_of_each_column(screen):
    export = EXPORTS["shopify"]
    test = upload(screen, "products_export.csv", export.files["products_export.csv"])
    assert_calm(test)
    shown = " ".join(texts(test).split())
    assert "Shopify export: 2 products, 3 variants, 4 pictures." in shown.replace("\\", "")
    assert "Twinset knows this export." in shown
    assert [column(test, field).value for field in ("product_id", "label", "brand")] == [
        "Variant SKU",
        "Type",
        "Vendor",
    ]
    assert "Kiln" in shown
    column(test, "brand").select("Title").run()
    assert "Mug & Saucer" in html.unescape(" ".join(texts(test).split()).replace("\\", ""))


def mapped(screen):
    return mapping_named(screen.settings.mappings_dir, "Weekly list")


def test_columns_are_saved_by_name_and_come_back_with_the_next_table_of_that_header(screen):
    test = upload(screen, "shop.zip", table_zip())
    column(test, "title").select("SKU").run()
    test.text_input(key="mapping_name").set_value("Weekly list").run()
    test.button(key="mapping_save").click().run()
    assert_calm(test)
    assert column(test, "title").value == "SKU"
    assert any(str(box.key).startswith("mapping_") and box.value == "Weekly list" for box in test.selectbox)
    save_mapping(
        screen.settings.mappings_dir, "Weekly list", mapped(screen).header, {"image": "Photo"}
    )  # somebody else
    test.text_input(key="mapping_name").set_value("Weekly list").run()
    assert "Another person changed the columns saved as Weekly list" in test.warning[0].value
    assert column(test, "title").value == "SKU"
    test.button(key="mapping_save").click().run()
    assert mapped(screen).edition.version == 2
    test.button(key="mapping_of_Weekly list_mine").click().run()
    test.button(key="mapping_save").click().run()
    assert_calm(test)
    assert (mapped(screen).edition.version, mapped(screen).columns["title"]) == (3, "SKU")
    press(test, "Check")
    assert screen.runner.list()[0].request["columns"]["title"] == "SKU"


def test_nothing_is_checked_before_the_pictures_are_found(screen):
    test = upload(screen, "shop.zip", table_zip("SKU,Wo,Kind,Name"))
    assert_calm(test)
    assert next(button for button in test.button if button.label == "Check").disabled
    assert "Choose the column with the pictures first." in texts(test)
    column(test, "image").select("Wo").run()
    assert not next(button for button in test.button if button.label == "Check").disabled
    assert all(card["src"] for card in grid(test))


def two_tables() -> bytes:
    """A zip as data sets are downloaded: two tables, and pictures that are called as their products."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("styles.csv", "id,articleType,productDisplayName\n1163,Bag,Tote\n1164,bag,Cap\n1165,Hat,Hat\n")
        archive.writestr("images.csv", "filename,link\n1163.jpg,http://x.invalid/0.jpg\n")
        for number in (1163, 1164, 1165):
            archive.writestr(f"images/{number}.jpg", encoded(number))
    return buffer.getvalue()


def test_of_two_tables_the_page_asks_which(screen):
    test = upload(screen, "archive.zip", two_tables())
    assert_calm(test)
    assert "archive.zip contains 2 tables. Choose the one to load." in texts(test)
    assert not [button for button in test.button if button.label == "Check"]
    choice = next(box for box in test.selectbox if box.label == "Table that describes the products")
    assert choice.value is None
    choice.select("styles.csv").run()
    assert_calm(test)
    assert {card["title"] for card in grid(test)} == {"Tote", "Cap", "Hat"}
    assert all(card["src"] for card in grid(test))
    assert "One table is not read: images.csv." in texts(test).replace("\\", "")
    press(test, "Check")
    request = screen.runner.list()[0].request
    assert (request["table"], request["columns"]["image"]) == ("styles.csv", "id")


def test_labels_that_are_alike_are_offered_as_one(screen):
    test = upload(screen, "archive.zip", two_tables())
    next(box for box in test.selectbox if box.label == "Table that describes the products").select("styles.csv").run()
    assert "Bag and bag become one label, Bag." in texts(test)
    assert "2 labels: Bag 2, Hat 1" in texts(test)
    assert test.multiselect(key="source_unseen").options == ["Bag", "Hat"]
    test.checkbox(key="source_merge_labels").uncheck().run()
    assert "Bag and bag would become one label" in texts(test)
    assert "3 labels" in texts(test)
    press(test, "Check")
    assert screen.runner.list()[0].request["merge_labels"] is False


# ------------------------------------------------------------------------------------------------- options


def test_shares_that_leave_a_split_empty_are_said_with_the_share_that_would_do(screen, uploaded):
    said = "A share of 0.25 for the final check would do. Shares are set under Options."
    assert said in texts(uploaded)
    uploaded.number_input(key="source_test").set_value(0.25).run()
    assert said not in texts(uploaded)


def test_the_options_reach_the_check(screen, uploaded):
    uploaded.number_input(key="source_test").set_value(0.3)
    uploaded.number_input(key="source_validation").set_value(0.15)
    uploaded.number_input(key="source_seed").set_value(3)
    uploaded.multiselect(key="source_unseen").set_value(["hat"])
    uploaded.checkbox(key="source_redraw").set_value(True)
    press(uploaded, "Check")
    (job,) = screen.runner.list()
    path = job.request.pop("path")
    assert path.startswith(str(screen.settings.uploads_dir))
    assert job.request == {
        "source": "zip",
        "catalogue": "ete-2026",
        "validation_share": 0.15,
        "seed": 3,
        "columns": {},
        "base": "",
        "label_from": "folder",
        "source_version": None,
        "table": "",
        "merge_labels": False,
        "test_share": 0.3,
        "unseen": ["hat"],
        "redraw": True,
        "gone": "keep",
        "check_only": True,
        "measure_quality": True,
    }


def name_field(test):
    return next(field for field in test.text_input if field.label == "Its name")


def test_a_name_that_no_catalogue_can_have_is_said_and_nothing_is_sent(uploaded):
    name_field(uploaded).set_value("../x").run()
    assert "is not a valid catalogue name" in uploaded.error[0].value
    assert next(button for button in uploaded.button if button.label == "Check").disabled


def test_an_existing_catalogue_can_be_chosen_and_is_told_from_a_new_one(screen, shop_catalogue):
    test = upload(screen, "other.zip", zipped(bag__one=encoded(1)))
    name_field(test).set_value("shop").run()
    assert "The catalogue shop already exists; the products are added to it." in texts(test)
    next(box for box in test.selectbox if box.label == "Load into").select("shop").run()
    press(test, "Check")
    assert screen.runner.list()[0].request["catalogue"] == "shop"


@pytest.mark.parametrize(
    ("file", "name"),
    [("Shop (neu).zip", "shop-neu"), ("été.csv", "ete"), ("商品.zip", "shop"), ("a" * 90 + ".zip", "a" * 64)],
)
def test_a_catalogue_is_named_after_its_file(file, name):
    assert options.suggested_name(file) == name


# ------------------------------------------------------------------------------------------------- the report


def stage(settings, report: IngestReport) -> None:
    """Keep a load as its check would, with one row for each that the report calls rejected."""
    folder = settings.staging_dir / report.staged
    folder.mkdir(parents=True, exist_ok=True)
    codes = [code for code, count in report.rejected.items() for _ in range(count)]
    rows = [
        {"product_id": f"x{at}", "reason": f"{code}: It is no good.", "image": b"bytes", "source": report.source}
        for at, code in enumerate(codes)
    ]
    pq.write_table(pa.Table.from_pylist(rows, QUARANTINE_SCHEMA), folder / "rejected-part-0.parquet")
    facts = [{"reason": row["reason"], "file": "rejected-part-0.parquet"} for row in rows]
    StagedLoad(folder, pa.Table.from_pylist(facts, FACT_SCHEMA), {"source": report.source}).save()


def checked(screen, **changes):
    """A check that has ended and waits for a decision."""
    report = replace(REPORT, **changes)
    stage(screen.settings, report)
    request = IngestRequest("zip", report.catalogue, path="/autumn.zip", check_only=True)
    return finished(screen, request, report.as_dict())


def test_a_finished_check_is_reported_in_full(screen, shop_catalogue):
    checked(screen)
    test = screen.open("catalogue")
    assert_calm(test)
    shown = {metric.label: metric.value for metric in test.metric}
    expected = {"Usable": "58", "New": "3", "Changed": "2", "Unchanged": "53", "Gone": "4"}
    assert expected.items() <= shown.items()
    said = texts(test)
    assert "not stored yet: autumn" in " ".join(expander.label for expander in test.expander)
    assert "- Damaged picture: 2\n- No product id: 1" in said
    assert "- Learning: 50\n- Final check: 8" in said
    assert "2 products have the same picture as another product" in said
    assert "1 picture is used both for learning and for a check" in said
    assert "no label" in said
    assert len(test.get("plotly_chart")) == 1


def test_rejected_rows_are_listed_before_anything_is_stored(screen, shop_catalogue):
    checked(screen)
    test = screen.open("catalogue")
    assert_calm(test)
    assert {card["id"]: card["lines"][0] for card in grid(test)} == dict.fromkeys(("x0", "x1", "x2"), "It is no good.")
    test.pills(key=f"rejected-{STAGED}").select("no_id").run()
    assert [card["id"] for card in grid(test)] == ["x2"]
    packed = zipfile.ZipFile(io.BytesIO(export_quarantine(StagedRejects(screen.settings, STAGED))))
    assert packed.read("quarantine.csv").decode().count("It is no good.") == 3
    assert [button.label for button in test.get("download_button")] == ["Download all rejected rows"]


def test_a_check_with_nothing_to_use_lists_the_rows_and_offers_no_commit(screen):
    nothing = "No product can be used, so there is nothing to load. Correct the rejected rows first."
    checked(
        screen,
        base_version=None,
        kept=0,
        counts=LoadCounts(),
        by_split={},
        by_label={},
        duplicates=0,
        leaks=0,
        notes=(nothing,),
    )
    test = screen.open("catalogue")
    assert_calm(test)
    said = texts(test).replace("\\", "")
    assert nothing in said
    assert "This would create the new catalogue shop." in said
    assert "- Damaged picture: 2\n- No product id: 1" in said
    assert [card["id"] for card in grid(test)] == ["x0", "x1", "x2"]
    assert [button.label for button in test.get("download_button")] == ["Download all rejected rows"]
    assert f"commit-{STAGED}" not in [button.key for button in test.button]
    test.button(key=f"discard-{STAGED}").click().run()
    assert not (screen.settings.staging_dir / STAGED).exists()


def test_nothing_is_committed_before_the_button_and_the_choice_about_gone_products_counts(screen, shop_catalogue):
    checked(screen)
    test = screen.open("catalogue")
    choice = test.radio(key=f"gone-{STAGED}")
    assert choice.label == "4 products of the catalogue are not in this source. What should happen to them?"
    assert choice.value == "keep"
    choice.set_value("mark").run()
    assert [job.kind for job in screen.runner.list()] == ["catalogue"]
    test.button(key=f"commit-{STAGED}").click().run()
    job = screen.runner.list(kind="commit")[0]
    assert job.request == {"staged": STAGED, "gone": "mark", "measure_quality": True}


def test_a_discarded_check_is_gone(screen, shop_catalogue):
    checked(screen)
    test = screen.open("catalogue")
    test.button(key=f"discard-{STAGED}").click().run()
    assert not (screen.settings.staging_dir / STAGED).exists()
    assert not [expander for expander in test.expander if "not stored yet" in expander.label]


def test_a_check_whose_catalogue_moved_on_is_checked_again(screen, shop_catalogue):
    checked(screen, base_version=3)
    test = screen.open("catalogue")
    assert "has changed since this was checked" in test.warning[-1].value
    assert f"commit-{STAGED}" not in [button.key for button in test.button]
    test.button(key=f"again-{STAGED}").click().run()
    newest = screen.runner.list()[0]
    assert (newest.kind, newest.request["path"]) == ("catalogue", "/autumn.zip")
    assert not (screen.settings.staging_dir / STAGED).exists()


def test_a_check_that_found_no_difference_has_nothing_to_commit(screen, shop_catalogue):
    checked(screen, counts=LoadCounts(unchanged=58), rejected={})
    test = screen.open("catalogue")
    assert "No changes since version 4" in texts(test)
    assert "Every product can be used" in texts(test)
    assert f"commit-{STAGED}" not in [button.key for button in test.button]


def test_a_check_of_a_new_catalogue_waits_on_an_otherwise_empty_page(screen):
    checked(screen, base_version=None, counts=LoadCounts(new=58))
    test = screen.open("catalogue")
    assert_calm(test)
    assert "This would create the new catalogue shop." in texts(test)
    assert f"gone-{STAGED}" not in [radio.key for radio in test.radio]
    assert test.button(key=f"commit-{STAGED}").label == "Commit to shop"


def test_a_check_that_is_being_committed_is_not_shown(screen, shop_catalogue):
    from backend.flow.requests import to_json
    from backend.jobs.store import JobStore

    checked(screen)
    request = CommitRequest(staged=STAGED)
    JobStore(screen.settings.jobs_db).add(request.kind, to_json(request))
    test = screen.open("catalogue")
    assert not [expander for expander in test.expander if "not stored yet" in expander.label]


def test_the_result_of_a_check_leads_from_the_jobs_to_the_decision(screen):
    job = checked(screen)
    test = screen.open("jobs", job=job.id)
    assert "58 products of autumn" in texts(test)
    assert "Nothing is stored in shop yet" in texts(test)
    assert [link.label for link in test.page_link] == ["Review it and decide"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"version": 5, "gone_policy": "mark", "notes": ()},
            (
                "The catalogue shop is now at version 5: 3 new, 2 changed, 53 unchanged, "
                "4 no longer in the source (marked as withdrawn), 3 rejected."
            ),
        ),
        (
            {"version": 4, "rejected": {}, "notes": ()},
            "58 products of autumn.zip can be used. Nothing has changed since version 4 of shop.",
        ),
    ],
)
def test_what_a_load_did_is_said_in_sentences(changes, told):
    result = replace(REPORT, staged="", **changes).as_dict()
    assert sentences("commit", result) == [told]
    assert len(sentences("commit", {**result, "measured": 3, "left_out": 0})) == (2 if changes["version"] == 5 else 1)
