"""Groups of equal and of similar pictures, the leaks among them, and splits without leaks."""

from __future__ import annotations

import itertools

import faiss
import numpy as np
import pytest

from backend.catalogue.quality import duplicates
from backend.catalogue.quality.duplicates import Leak, exact_groups, find_leaks, mended_splits, near_groups
from backend.errors import CatalogueError

TRAIN, VALIDATION, TEST, GALLERY = "train", "validation", "test", "gallery-only"


def hashed(*bits, size=64):
    """Hexadecimal text in which these bits are set."""
    return f"{sum(1 << bit for bit in bits):0{size // 4}x}"


def random_codes(count, seed=4):
    return np.random.default_rng(seed).integers(0, 256, (count, 32), np.uint8)


def flipped(code, bits):
    changed = code.copy()
    for bit in bits:
        changed[bit // 8] ^= np.uint8(1 << bit % 8)
    return changed


def texts(codes):
    return [code.tobytes().hex() for code in codes]


def bits_apart(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()


# ---------------------------------------------------------------------------------------------- groups


def test_equal_hashes_are_exact_duplicates():
    assert exact_groups(list("dcba"), ["x", "y", "x", "z"]) == [("b", "d")]
    assert exact_groups(list("abcd"), ["x", "y", "x", "y"]) == [("a", "c"), ("b", "d")]
    assert exact_groups([], []) == []


@pytest.mark.parametrize(("distance", "found"), [(0, []), (1, []), (2, [("a", "b")]), (3, [("a", "b")])])
def test_near_is_up_to_the_distance_and_no_further(distance, found):
    assert near_groups(["a", "b", "c"], [hashed(), hashed(0, 1), hashed(40, 41, 42, 43, 44)], distance) == found


def test_equal_hashes_are_near_at_any_distance():
    assert near_groups(list("abc"), [hashed(5), hashed(9), hashed(5)], 0) == [("a", "c")]


def test_a_chain_is_cut_and_never_grows_into_one_group():
    """Each is 2 bits from the next: connected components would make one group whose ends are 18 bits apart."""
    names = list("abcdefghij")
    hashes = [hashed(*range(2 * at)) for at in range(10)]
    groups = near_groups(names, hashes, 2)
    assert groups == [("a", "b", "c"), ("d", "e"), ("f", "g"), ("h", "i")]
    for group in groups:
        members = [hashes[names.index(name)] for name in group]
        assert max(bits_apart(*pair) for pair in itertools.combinations(members, 2)) <= 4


def test_the_picture_with_the_most_near_ones_is_the_middle_whatever_its_id():
    """Two versions of an original lie further from each other than from it."""
    original, saved, cropped = hashed(), hashed(1, 2), hashed(3, 4)
    assert near_groups(["a-cropped", "b-saved", "z-original"], [cropped, saved, original], 2) == [
        ("a-cropped", "b-saved", "z-original")
    ]


def test_groups_do_not_depend_on_the_order_of_the_products():
    rng = np.random.default_rng(8)
    codes = np.concatenate([random_codes(40), *(flipped(code, rng.choice(256, 6))[None] for code in random_codes(40))])
    names = [f"p{at:03d}" for at in range(len(codes))]
    pairs = list(zip(names, texts(codes), strict=True))
    expected = near_groups(names, texts(codes), 6)
    assert expected == [(f"p{at:03d}", f"p{at + 40:03d}") for at in range(40)]
    for seed in range(3):
        shuffled = [pairs[at] for at in np.random.default_rng(seed).permutation(len(pairs))]
        assert near_groups([name for name, _ in shuffled], [text for _, text in shuffled], 6) == expected


def test_every_pair_is_compared_across_blocks(monkeypatch):
    """Against comparing all with all, with blocks so small that pairs lie in every corner of them."""
    monkeypatch.setattr(duplicates, "_ASKED", 3)
    monkeypatch.setattr(duplicates, "_HELD", 5)
    monkeypatch.setattr(duplicates, "_STARS_AT_ONCE", 2)
    codes = random_codes(24)
    rng = np.random.default_rng(1)
    for target, origin in rng.permutation(24).reshape(12, 2)[:7]:
        codes[target] = flipped(codes[origin], rng.choice(256, 5, replace=False))
    names, hashes = [f"p{at:02d}" for at in range(24)], texts(codes)
    pairs = [
        (names[one], names[other])
        for one, other in itertools.combinations(range(24), 2)
        if bits_apart(hashes[one], hashes[other]) <= 5
    ]
    assert len(pairs) == 7
    assert near_groups(names, hashes, 5) == pairs


def test_products_without_a_hash_and_with_one_of_another_length_are_kept_apart():
    names, hashes = list("abcdef"), ["", "", hashed(size=64), hashed(1, size=64), hashed(size=16), hashed(2, size=16)]
    assert near_groups(names, hashes, 1) == [("c", "d"), ("e", "f")]
    assert near_groups([], [], 3) == []


@pytest.mark.parametrize("damaged", [["00zz"], ["abc", "abd"]])
def test_a_damaged_hash_is_named(damaged):
    with pytest.raises(CatalogueError, match="perceptual hash"):
        near_groups([f"p{at}" for at in range(len(damaged))], damaged, 1)


@pytest.mark.parametrize("is_varied", [False, True])
def test_a_crowd_of_equal_or_similar_pictures_is_one_group_and_costs_no_pairs(is_varied):
    """20,000 pictures that look the same are 200 million pairs."""
    rng = np.random.default_rng(2)
    codes = random_codes(20_400, seed=6)
    codes[:20_000] = codes[0]
    if is_varied:
        codes[np.arange(20_000), rng.integers(0, 32, 20_000)] ^= np.uint8(1) << rng.integers(0, 8, 20_000, np.uint8)
        codes[np.arange(20_000), rng.integers(0, 32, 20_000)] ^= np.uint8(1) << rng.integers(0, 8, 20_000, np.uint8)
    names = [f"p{at:05d}" for at in range(len(codes))]
    assert near_groups(names, texts(codes), 4) == [tuple(names[:20_000])]


def test_faiss_has_its_threads_back():
    before = faiss.omp_get_max_threads()
    near_groups(["a", "b"], [hashed(), hashed(1)], 1)
    assert faiss.omp_get_max_threads() == before


# ---------------------------------------------------------------------------------------------- leaks


def test_only_groups_across_train_validation_and_test_leak():
    split_of = {"a": TRAIN, "b": TEST, "c": GALLERY, "d": TRAIN, "e": TRAIN, "f": VALIDATION, "g": TEST, "h": TEST}
    groups = [("a", "b", "c"), ("c", "d"), ("d", "e"), ("e", "f", "g"), ("g", "h")]
    assert find_leaks(groups, split_of) == [
        Leak(("a", "b", "c"), (TRAIN, TEST), "exact"),
        Leak(("e", "f", "g"), (TRAIN, VALIDATION, TEST), "exact"),
    ]
    assert {leak.kind for leak in find_leaks(groups, split_of, kind="near")} == {"near"}


@pytest.mark.parametrize(
    ("splits", "chosen"),
    [
        ((TRAIN, TEST), TRAIN),
        ((TEST, VALIDATION), VALIDATION),
        ((TEST, TEST, TRAIN), TEST),
        ((TEST, TEST, TRAIN, TRAIN), TRAIN),
        ((VALIDATION, VALIDATION, TEST, TEST, TRAIN), VALIDATION),
        ((TEST, TRAIN, GALLERY, GALLERY, GALLERY), TRAIN),
    ],
)
def test_a_leak_goes_where_most_of_it_is(splits, chosen):
    split_of = {f"p{at}": split for at, split in enumerate(splits)}
    mended = mended_splits(find_leaks([tuple(split_of)], split_of), split_of)
    judged = {name for name, split in split_of.items() if split != GALLERY}
    assert mended == dict.fromkeys(judged, chosen)


def test_after_mending_there_is_no_leak_even_where_exact_and_near_ones_overlap():
    split_of = {"a": TRAIN, "b": TEST, "c": TEST, "d": TEST, "e": VALIDATION, "f": GALLERY, "x": TRAIN}
    groups = [("a", "b"), ("a", "b", "c"), ("d", "e", "f")]
    leaks = [*find_leaks(groups[:1], split_of), *find_leaks(groups[1:], split_of, kind="near")]
    mended = mended_splits(leaks, split_of)
    assert mended == {"a": TEST, "b": TEST, "c": TEST, "d": VALIDATION, "e": VALIDATION}
    assert find_leaks(groups, {**split_of, **mended}) == []
    assert "f" not in mended
    assert "x" not in mended
    assert mended_splits([], split_of) == {}
