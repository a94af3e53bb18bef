"""Maps on disk, maps beside a gallery that went on, and what is known of the points."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from backend.bundles import bundle
from backend.catalogue.items import SPLITS
from backend.catalogue.snapshot import open_snapshot
from backend.errors import BundleError, ProjectionError
from backend.progress import NullProgress
from backend.projection import maps
from backend.projection.arrange import arrange_gallery
from backend.projection.build import build_map
from backend.projection.columns import points_of
from backend.projection.maps import INFO, key_of, list_maps, load_map
from backend.projection.options import ProjectionOptions
from backend.projection.place import membership, place
from backend.projection.reading import open_reading
from tests.fixtures.evaluation import UNSEEN, WARDROBE
from tests.fixtures.projection import map_folder, write_map


@pytest.fixture
def reading(mapped_home):
    return open_reading(mapped_home.models_dir / "mine", map_folder(mapped_home))


def test_a_map_comes_back_as_it_was(mapped_home):
    (info,) = list_maps(map_folder(mapped_home))
    found = load_map(map_folder(mapped_home), info.key)
    assert found.info == info
    assert found.positions[2].shape == (info.size, 2)
    assert found.positions[3].shape == (info.size, 3)
    assert found.graph.k == info.graph_k == 15
    assert list(found.ids) == sorted(found.ids)


def test_the_name_of_a_map_depends_on_network_index_and_options(mapped_home):
    manifest = bundle.read_manifest(mapped_home.models_dir / "mine")
    options = ProjectionOptions()
    keys = {
        key_of(manifest, options),
        key_of(manifest, replace(options, supervised=True)),
        key_of(manifest, replace(options, min_distance=0.2)),
        key_of(manifest, replace(options, engine="umap-learn")),
        key_of(replace(manifest, weights_hash="another"), options),
        key_of(replace(manifest, files={**manifest.files, bundle.VECTORS: "0"}), options),
    }
    assert len(keys) == 6
    with pytest.raises(ProjectionError, match="no index yet"):
        key_of(replace(manifest, index=None), options)


def test_a_damaged_map_is_a_sentence_and_not_listed(mapped_home):
    folder = map_folder(mapped_home)
    (info,) = list_maps(folder)
    (folder / info.key / maps.ARRAYS).write_bytes(b"no map")
    with pytest.raises(ProjectionError, match="cannot be read"):
        load_map(folder, info.key)
    (folder / info.key / INFO).write_text(json.dumps({"format_version": 0}), encoding="utf-8")
    assert list_maps(folder) == []
    for key in ("nothing", "../mine", ""):
        with pytest.raises(ProjectionError, match="no such map"):
            load_map(folder, key)


def test_the_oldest_maps_make_room(mapped_home, monkeypatch):
    monkeypatch.setattr(maps, "KEPT", 2)
    for neighbours in (9, 10, 11):
        write_map(mapped_home, "mine", ProjectionOptions(neighbours=neighbours))
    assert len(list_maps(map_folder(mapped_home))) == 2


def test_a_map_that_is_there_is_not_drawn_again(mapped_home):
    folder, options = mapped_home.models_dir / "mine", ProjectionOptions(neighbours=8)
    built = build_map(folder, map_folder(mapped_home), options, progress=NullProgress())
    assert built.was_there
    assert built.map.info.created_at == "2026-11-25T12:00:00+00:00"


def test_a_map_of_before_there_were_engines_is_twinsets_and_is_not_drawn_again(home_without_test_split):
    settings = home_without_test_split
    folder = map_folder(settings, "stored")
    (info,) = list_maps(folder)
    assert "engine" not in json.loads((folder / info.key / INFO).read_text(encoding="utf-8"))["options"]
    assert info.options == ProjectionOptions(engine="twinset")
    built = build_map(settings.models_dir / "stored", folder, ProjectionOptions(), progress=NullProgress())
    assert (built.was_there, built.map.info.key) == (True, info.key)
    assert open_reading(settings.models_dir / "stored", folder).map_key == info.key
    assert json.loads((folder / info.key / INFO).read_text(encoding="utf-8"))["options"]["engine"] == "twinset"


def test_a_map_that_is_asked_for_again_is_the_one_that_is_shown(mapped_home):
    """Regression: whoever drew two maps, and then asked for the first, kept looking at the second."""
    folder, model = map_folder(mapped_home), mapped_home.models_dir / "mine"
    first = ProjectionOptions(neighbours=8)
    later = write_map(mapped_home, "mine", replace(first, engine="umap-learn"), created_at="2026-11-26T12:00:00+00:00")
    assert open_reading(model, folder).map_key == later.key
    asked = build_map(model, folder, first, progress=NullProgress()).map.info
    assert open_reading(model, folder).map_key == asked.key != later.key
    assert [info.options.engine for info in list_maps(folder)] == ["twinset", "umap-learn"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ProjectionOptions(neighbours=1), "Neighbours must be 2 to 100"),
        (ProjectionOptions(min_distance=1.5), "Min distance must be 0 to 0.99"),
        (ProjectionOptions(seed=-1), "Seed must be 0 to"),
        (ProjectionOptions(engine="t-sne"), "no map engine 't-sne'"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_anything_starts(wardrobe_home, options, said):
    folder = wardrobe_home.models_dir / "mine"
    with pytest.raises(ProjectionError, match=said):
        build_map(folder, wardrobe_home.maps_dir / "mine", options, progress=NullProgress())
    assert not wardrobe_home.maps_dir.exists()


def test_a_small_gallery_has_all_its_products_as_neighbours_and_one_of_two_no_map():
    assert ProjectionOptions().fitted(12) == ProjectionOptions(neighbours=11)
    assert ProjectionOptions().fitted(16) == ProjectionOptions().fitted(60_000) == ProjectionOptions()
    with pytest.raises(ProjectionError, match="2 products, too few for a map") as caught:
        ProjectionOptions().fitted(2)
    assert "Load more products" in caught.value.next_step


@pytest.mark.parametrize(
    ("size", "trust", "vote"), [(10, None, None), (20, None, None), (24, None, 0.4), (30, None, 0.4), (31, 1.0, 0.4)]
)
def test_figures_that_an_earlier_version_gave_small_galleries_are_not_repeated(mapped_home, size, trust, vote):
    folder = map_folder(mapped_home)
    (info,) = list_maps(folder)
    path = folder / info.key / INFO
    told = json.loads(path.read_text(encoding="utf-8"))
    worth = {"trustworthiness": 1.0, "accuracy": 0.4, "full_accuracy": 0.8, "asked": size}  # as it was written then
    path.write_text(json.dumps({**told, "size": size, "worth": {"2": worth, "3": worth}}), encoding="utf-8")
    (opened,) = list_maps(folder)
    for found in opened.worth.values():
        assert (found.trustworthiness, found.accuracy, found.voted) == (trust, vote, None)


def test_embeddings_that_are_no_numbers_are_a_sentence(wardrobe_home):
    folder = wardrobe_home.models_dir / "mine"
    vectors = np.load(folder / bundle.VECTORS)
    vectors[0] = np.nan
    np.save(folder / bundle.VECTORS, vectors)
    bundle.write_manifest(folder, bundle.read_manifest(folder))
    with pytest.raises(ProjectionError, match="not finite"):
        build_map(folder, wardrobe_home.maps_dir / "mine", ProjectionOptions(), progress=NullProgress())


def test_a_model_that_is_gone_is_a_sentence(wardrobe_home):
    folder = wardrobe_home.models_dir / "mine"
    shutil.rmtree(folder)
    with pytest.raises(BundleError):
        build_map(folder, wardrobe_home.maps_dir / "mine", ProjectionOptions(), progress=NullProgress())


# ------------------------------------------------------------------------------------------------- beside the gallery


def test_new_products_are_placed_among_theirs_and_gone_ones_leave(reading):
    found = reading.drawn
    keep = np.arange(0, len(reading.ids), 2)
    known = replace(
        found,
        ids=found.ids[keep],
        positions={size: array[keep] for size, array in found.positions.items()},
        info=replace(found.info, size=len(keep)),
    )
    now = np.delete(np.arange(len(reading.ids)), 0)  # the first product is gone
    arranged = arrange_gallery(known, 2, reading.ids[now], reading.vectors[now])
    assert arranged.gone == 1
    assert arranged.is_placed.sum() == len(reading.ids) - len(keep)
    stayed = np.isin(reading.ids[now], known.ids)
    assert np.array_equal(arranged.positions[stayed], found.positions[2][now][stayed])
    assert np.isfinite(arranged.positions).all()
    low, high = found.positions[2].min(axis=0) - 2, found.positions[2].max(axis=0) + 2
    assert ((arranged.positions >= low) & (arranged.positions <= high)).all()


def test_a_map_of_other_products_is_a_sentence(reading):
    strangers = np.asarray([f"zz-{number}" for number in range(3)])
    with pytest.raises(ProjectionError, match="none of the products"):
        arrange_gallery(reading.drawn, 2, strangers, reading.vectors[:3])


def test_a_photo_that_is_a_product_lands_on_it(reading):
    pairs = [(str(reading.ids[5]), 0.0), (str(reading.ids[6]), 0.1)]
    assert reading.place(pairs, 2, answered_by="mine") == pytest.approx(reading.drawn.positions[2][5].tolist())
    with pytest.raises(ProjectionError, match="serves another"):
        reading.place(pairs, 2, answered_by="another")
    with pytest.raises(ProjectionError, match="it has no neighbours on this map"):
        reading.place([("nobody", 0.1)], 2, answered_by="mine")


def test_a_placed_photo_comes_to_stand_at_the_same_place_every_time():
    positions = np.random.default_rng(2).standard_normal((60, 2)).astype(np.float32)
    near, distances = np.arange(8), np.linspace(0.05, 0.2, 8, dtype=np.float32)
    first, second = (place(near, distances, positions, curve=(1.577, 0.895), neighbours=8) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    with pytest.raises(ProjectionError, match="no neighbours"):
        place(near, np.full(8, np.nan, np.float32), positions, curve=(1.577, 0.895), neighbours=8)


def test_membership_falls_with_distance_and_adds_up_as_in_umap():
    found = membership(np.asarray([0.1, 0.2, 0.3, 0.4]), 4)
    assert (np.diff(found) < 0).all()
    assert found[1:].sum() == pytest.approx(np.log2(4), abs=1e-3)


def test_true_neighbours_stand_beside_those_on_the_map(reading):
    true, on_map = reading.neighbours_of(str(reading.ids[3]), 5)
    assert [at for at, _ in true] == reading.drawn.graph.positions[3, :5].tolist()
    assert len(on_map) == 5
    assert 3 not in on_map
    with pytest.raises(ProjectionError, match="has no product nobody"):
        reading.position_of("nobody")


def test_neighbours_of_an_earlier_index_are_not_told(mapped_home):
    folder = mapped_home.models_dir / "mine"
    manifest = bundle.read_manifest(folder)
    vectors = np.load(folder / bundle.VECTORS)
    np.save(folder / bundle.VECTORS, np.roll(vectors, 1, axis=1))
    bundle.write_manifest(folder, manifest)
    found = open_reading(folder, map_folder(mapped_home))
    with pytest.raises(ProjectionError, match="rebuilt after"):
        _ = found.graph


def test_what_is_known_of_the_points(mapped_home, reading):
    snapshot = open_snapshot(mapped_home.catalogues_dir, WARDROBE)
    found = points_of(
        mapped_home.models_dir / "mine", reading.manifest, reading.vectors, reading.graph.positions[:, 0], snapshot
    )
    assert np.array_equal(found.ids, reading.ids)
    assert set(found.columns) == {"label", "split", "seen", "nearest", "centre"}  # it has no brand, price or measures
    seen = found.columns["seen"]
    new = np.asarray(seen.names)[seen.codes] == "New to the model"
    assert set(found.labels[new]) == set(UNSEEN)
    assert {SPLITS[number] for number in found.splits} == set(SPLITS)
    assert np.nanmin(found.columns["centre"].numbers) >= 0


def test_a_gallery_that_cannot_be_read_is_a_sentence(mapped_home, reading):
    folder = mapped_home.models_dir / "mine"
    (folder / bundle.GALLERY).write_bytes(b"nothing")
    snapshot = open_snapshot(mapped_home.catalogues_dir, WARDROBE)
    with pytest.raises(BundleError, match="cannot be read"):
        points_of(folder, reading.manifest, reading.vectors, None, snapshot)
