"""Arrays out of PyTorch's legacy files: what is read, and that nothing else ever is."""

from __future__ import annotations

import collections
import io
import pickle
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.training.network.torch_file import read_torch_arrays

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Named:
    """Is pickled as a name, without being there."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Storage:
    """Is pickled as a reference to numbers behind the pickles."""

    def __init__(self, kind, key, size):
        self.pid = ("storage", Named("torch", kind), key, "cpu", size, None)


class Tensor:
    """Is pickled as PyTorch pickles a tensor."""

    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())


class Writer(pickle._Pickler):  # the one in Python, whose opcodes can be chosen
    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def persistent_id(self, value):
        return value.pid if isinstance(value, Storage) else None

    def save_named(self, value):
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())

    def save_tensor(self, value):
        self.save(Named("torch._utils", "_rebuild_tensor_v2"))
        self.save(value.arguments)
        self.write(pickle.REDUCE)

    dispatch[Named], dispatch[Tensor] = save_named, save_tensor


def written(tensors, storages, *, magic=MAGIC, protocol=PROTOCOL):
    file = io.BytesIO()
    for part in (magic, protocol, {"little_endian": True}, tensors, list(storages)):
        Writer(file, protocol=2).dump(part)
    for numbers in storages.values():
        file.write(len(numbers).to_bytes(8, "little") + numbers.tobytes())
    return file.getvalue()


def stored(array, order, key="a"):
    """A tensor that is a view of its storage, whose axes lie there in another order."""
    numbers = np.ascontiguousarray(array.transpose(order)).ravel()
    strides = [0] * array.ndim
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= array.shape[axis]
    kind = "FloatStorage" if array.dtype == np.float32 else "LongStorage"
    return Tensor(Storage(kind, key, len(numbers)), 0, array.shape, tuple(strides)), numbers


def read(content):
    return read_torch_arrays(io.BytesIO(content))


@given(
    shape=st.lists(st.integers(1, 4), min_size=0, max_size=4).map(tuple),
    kind=st.sampled_from([np.float32, np.int64]),
    data=st.data(),
)
def test_a_tensor_is_read_whatever_the_order_of_its_axes(shape, kind, data):
    array = np.arange(int(np.prod(shape)), dtype=kind).reshape(shape)
    order = data.draw(st.permutations(range(len(shape))))
    tensor, numbers = stored(array, order)
    (found,) = read(written(collections.OrderedDict(w=tensor), {"a": numbers})).values()
    assert found.dtype == kind
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, array)


def two():
    first, numbers = stored(np.arange(6, dtype=np.float32).reshape(2, 3), [1, 0])
    second, counts = stored(np.array([7], dtype=np.int64), [0], key="b")
    return written(collections.OrderedDict(x=first, n=second), {"a": numbers, "b": counts})


def test_several_tensors_have_their_own_storages():
    found = read(two())
    assert found["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["n"].tolist() == [7]


@given(st.integers(0, len(two()) - 1))
def test_a_file_that_is_cut_anywhere_is_refused(length):
    with pytest.raises(ValueError, match=r".+"):
        read(two()[:length])


@settings(max_examples=400)
@given(st.integers(0, len(two()) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_numbers_or_is_refused(place, byte):
    content = bytearray(two())
    content[place] = byte
    try:
        found = read(bytes(content))
    except ValueError:
        return
    assert all(isinstance(array, np.ndarray) for array in found.values())


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(content):
    with pytest.raises(ValueError, match=r".+"):
        read(content)


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_that_a_file_names_is_run(tmp_path):
    mark = tmp_path / "ran"
    content = b"".join(pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {}, {"w": Harmful(mark)}, []))
    with pytest.raises(ValueError, match="is not allowed"):
        read(content)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(5, (2,), (1,)), (0, (2, 3), (4, 1)), (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (2**40,), (1,))],
)
def test_a_tensor_that_leaves_its_storage_is_refused(offset, shape, strides):
    tensor = Tensor(Storage("FloatStorage", "a", 6), offset, shape, strides)
    with pytest.raises(ValueError, match=r"leaves its storage|plain shape"):
        read(written({"w": tensor}, {"a": np.zeros(6, np.float32)}))


@pytest.mark.parametrize("changes", [{"magic": 1}, {"protocol": 1000}])
def test_another_format_is_refused(changes):
    with pytest.raises(ValueError, match="legacy format"):
        read(written({}, {}, **changes))


def test_storages_that_no_tensor_names_are_refused():
    tensor, numbers = stored(np.zeros(2, np.float32), [0])
    with pytest.raises(ValueError, match="storages"):
        read(written({"w": tensor}, {"a": numbers, "b": numbers}))
