"""Whatever happens to the files of the cache, a key gives the right value or none."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.feeding import content_cache
from backend.feeding.content_cache import CacheFolder, ContentCache
from tests.support.content_cache import DAMAGES, KEYS, ROW, SHAPE, cache, check, damage, values_of
from tests.support.disks import disk_of, read_only


@pytest.fixture
def folder(tmp_path):
    """Where a home keeps the cache; not made yet."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "cache"


def fill(folder, keys, **options):
    made = cache(folder, **options)
    made.put(keys, values_of(keys))
    return made


def test_what_was_put_is_found_by_others_and_nothing_else_is(folder):
    fill(folder, KEYS[:5])
    np.testing.assert_array_equal(check(cache(folder), KEYS), [True] * 5 + [False] * 7)
    assert not check(cache(folder, "another"), KEYS).any()
    assert cache(folder).get([])[0].shape == (0, *SHAPE)


def test_a_folder_that_is_not_there_is_an_empty_cache(folder):
    assert not check(cache(folder), KEYS).any()
    assert not folder.exists()
    assert CacheFolder(folder, 100).n_bytes == 0


def test_where_the_home_is_not_nothing_is_made(tmp_path):
    fill(tmp_path / "elsewhere" / "cache", KEYS)
    assert list(tmp_path.iterdir()) == []


def test_the_same_picture_twice_is_kept_once_and_found_twice(folder):
    fill(folder, [*KEYS[:2], KEYS[0]])
    assert check(cache(folder), [KEYS[0], KEYS[1], KEYS[0]]).all()
    assert CacheFolder(folder, 0).n_bytes == 2 * ROW
    fill(folder, KEYS[:2])  # by another process that made the same
    assert CacheFolder(folder, 0).n_bytes == 2 * ROW


def test_many_values_go_to_several_shards(folder, monkeypatch):
    monkeypatch.setattr(content_cache, "_SHARD_BYTES", 3 * ROW)
    fill(folder, KEYS)
    assert len(list(folder.glob("small/*.rows"))) == 4
    assert check(cache(folder), KEYS[::-1]).all()


USES = (
    st.tuples(st.just("put"), st.integers(0, 2), st.lists(st.sampled_from(KEYS), min_size=1, max_size=6)),
    st.tuples(st.just("get"), st.integers(0, 2), st.lists(st.sampled_from(KEYS), max_size=12)),
    st.tuples(st.just("new"), st.integers(0, 2), st.just([])),
)
DAMAGE = st.tuples(st.sampled_from(DAMAGES), st.integers(0, 200), st.just([]))


def carry_out(steps, folder, limit):
    """Three users of one folder in turn; yields after each step."""
    users = [cache(folder, limit_bytes=limit) for _ in range(3)]
    for step, number, keys in steps:
        if step == "put":
            users[number].put(keys, values_of(keys))
        elif step == "get":
            check(users[number], keys)
        elif step == "new":
            users[number] = cache(folder, limit_bytes=limit)
        else:
            damage(folder, step, number)
        yield


@given(st.lists(st.one_of(*USES, DAMAGE, DAMAGE), max_size=25), st.integers(1, 30))
def test_any_sequence_of_uses_and_damages_gives_the_right_value_or_none(tmp_path_factory, steps, rows):
    home = tmp_path_factory.mktemp("home")
    for _ in carry_out(steps, home / "cache", rows * ROW):
        pass
    shutil.rmtree(home)


@given(st.lists(st.one_of(*USES), max_size=25), st.integers(0, 12))
@hypothesis_settings(max_examples=40)
def test_it_never_becomes_larger_than_allowed(tmp_path_factory, steps, rows):
    home = tmp_path_factory.mktemp("home")
    for _ in carry_out(steps, home / "cache", rows * ROW):
        assert CacheFolder(home / "cache", 0).n_bytes <= rows * ROW
    shutil.rmtree(home)


@pytest.mark.slow
def test_processes_that_put_get_delete_and_damage_at_once_find_right_values_only(folder):
    command = [sys.executable, "-m", "tests.support.content_cache", str(folder)]
    started = [
        subprocess.Popen([*command, str(seed), "150"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for seed in range(3)
    ]
    told = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], told
    assert all(int(out) > 0 for out, _ in told)


@pytest.mark.parametrize("how", ["flip", "cut", "grow", "empty", "garbage"])
def test_a_damaged_shard_is_passed_over_removed_and_told(folder, how, caplog):
    fill(folder, KEYS)
    for where in range(0, 12 * ROW, 37):
        damage(folder, how, where)
        check(cache(folder), KEYS)
        assert list(folder.glob("*/*")) == [], where
        fill(folder, KEYS)
    assert "is damaged" in caplog.text
    assert check(cache(folder), KEYS).all()


def test_a_shard_that_is_cut_or_goes_while_it_is_known_is_no_error(folder):
    fill(folder, KEYS)
    known = cache(folder)
    assert check(known, KEYS).all()
    for how in ("cut", "remove", "remove all"):
        damage(folder, how, 200)
        check(known, KEYS)
        assert not check(known, KEYS).any()
        fill(folder, KEYS)
        assert check(known, KEYS).all()


def test_a_shard_of_another_space_is_no_shard_of_this_one(folder):
    fill(folder, KEYS)
    (folder / "small").rename(folder / "other")
    assert not check(cache(folder, "other"), KEYS).any()


def test_the_shards_used_longest_ago_go_first_whatever_their_space(folder):
    limit = 4 * ROW
    for number in range(4):
        fill(folder, [KEYS[number]], space=f"space-{number % 2}", limit_bytes=limit)
    assert check(cache(folder, "space-0"), [KEYS[0]]).all()  # used again
    fill(folder, [KEYS[4]], limit_bytes=limit)
    assert check(cache(folder, "space-0"), KEYS[:4]).tolist() == [True, False, True, False]
    assert check(cache(folder, "space-1"), KEYS[:4]).tolist() == [False, False, False, True]
    assert check(cache(folder), [KEYS[4]]).all()


def test_what_is_larger_than_the_limit_keeps_what_fits_and_finds_it_the_next_time(folder):
    for _ in range(3):  # trainings one after the other
        used, hits = cache(folder, limit_bytes=8 * ROW), []
        for start in range(0, 12, 2):
            keys = KEYS[start : start + 2]
            hits.append(check(used, keys).all())
            used.put(keys, values_of(keys))
    assert hits == [True, True, True, True, False, False]


def test_a_limit_that_was_lowered_is_kept_from_the_next_time_on(folder):
    for key in KEYS:
        fill(folder, [key])
    fill(folder, ["0" * 64], limit_bytes=3 * ROW)
    assert CacheFolder(folder, 0).n_bytes == 3 * ROW


def test_a_limit_of_nothing_keeps_nothing(folder):
    fill(folder, KEYS, limit_bytes=0)
    assert CacheFolder(folder, 0).n_bytes == 0


def test_at_most_a_tenth_of_the_free_disk_is_taken(folder, monkeypatch):
    usage = shutil.disk_usage(folder.parent)
    monkeypatch.setattr(content_cache.shutil, "disk_usage", lambda _: usage._replace(free=100 * ROW))
    for key in KEYS:
        fill(folder, [key])
    # What is kept is not free; if it were, a tenth of 110 rows would be 11.
    assert CacheFolder(folder, 0).n_bytes == 11 * ROW


def test_a_full_disk_only_keeps_nothing(folder, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(content_cache, "write_atomically", full)
    fill(folder, KEYS)
    assert "The disk is full" in caplog.text
    assert not check(cache(folder), KEYS).any()


def test_a_small_disk_is_never_filled(tmp_path):
    with disk_of(tmp_path / "disk", "1m") as home:
        big = ContentCache(home / "cache", "big", (20_000,), np.uint8, limit_bytes=10**9)
        for key in KEYS:
            big.put([key], np.ones((1, 20_000), np.uint8))
        assert 0 < CacheFolder(home / "cache", 0).n_bytes <= 110_000
        assert shutil.disk_usage(home).free > 800_000


def test_a_read_only_disk_is_read(folder, caplog):
    fill(folder, KEYS[:6])
    with read_only(folder.parent):
        assert check(fill(folder, KEYS[6:]), KEYS).sum() == 6
    assert "The disk is read-only" in caplog.text


def test_clearing_removes_all_and_whoever_used_it_goes_on(folder):
    used = fill(folder, KEYS)
    CacheFolder(folder, 0).clear()
    assert not check(used, KEYS).any()
    used.put(KEYS, values_of(KEYS))
    assert check(used, KEYS).all()
