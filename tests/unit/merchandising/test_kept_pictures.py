"""Pictures are kept by the hash of their bytes, for so long and so many, and by no other name."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import RetrievalError
from backend.merchandising.kept_pictures import KeptPictures

DAY = 86_400.0


@pytest.fixture
def kept(tmp_path):
    return KeptPictures(tmp_path / "photos")


def test_a_picture_is_found_until_it_is_removed(kept):
    name = kept.keep(b"photo")
    assert (kept.find(name), kept.names()) == (b"photo", {name})
    kept.remove(name)
    assert (kept.find(name), kept.kept_at(name), kept.names()) == (None, None, frozenset())
    with pytest.raises(RetrievalError):
        kept.keep(b"")


@settings(max_examples=30, deadline=None)
@given(
    st.one_of(st.text(max_size=90), st.sampled_from(["../secret", "..", ".", "", "/etc/passwd", "A" * 64, "0" * 63]))
)
def test_nothing_but_a_hash_is_looked_for(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp() / "hostile"
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    (folder / "secret").write_bytes(b"secret")
    kept = KeptPictures(folder / "photos")
    assert kept.find(name) is None
    assert kept.kept_at(name) is None
    kept.remove(name)
    assert (folder / "secret").read_bytes() == b"secret"


def test_a_changed_file_and_a_link_are_no_picture(kept, tmp_path):
    name = kept.keep(b"photo")
    (tmp_path / "photos" / name).write_bytes(b"another")
    assert kept.find(name) is None
    wanted = hashlib.sha256(b"elsewhere").hexdigest()
    (tmp_path / "elsewhere").write_bytes(b"elsewhere")
    (tmp_path / "photos" / wanted).symlink_to(tmp_path / "elsewhere")
    assert kept.find(wanted) is None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 20)), max_size=12), st.integers(0, 20), st.integers(0, 200)
)
def test_the_oldest_go_until_the_rest_fits(tmp_path_factory, ages, days, most):
    folder = tmp_path_factory.mktemp("aged")
    kept, now = KeptPictures(folder), 1e9
    for number, (size, age) in enumerate(ages):
        path = folder / kept.keep(bytes([number]) * size)
        os.utime(path, (now - age * DAY, now - age * DAY))
    before = {path.name: (path.stat().st_mtime, path.stat().st_size) for path in folder.iterdir()}
    removed = kept.tidy(days, most_bytes=most, now=now)
    left = kept.names()
    assert removed == len(before) - len(left)
    assert sum(before[name][1] for name in left) <= most
    assert all(before[name][0] >= now - days * DAY for name in left)
    gone = [at for name, (at, _) in before.items() if name not in left and at >= now - days * DAY]
    assert not gone or max(gone) <= min((before[name][0] for name in left), default=now)
