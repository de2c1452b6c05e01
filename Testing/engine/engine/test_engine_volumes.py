# SPDX-License-Identifier: Apache-2.0
"""Volumes: sent once, exactly as declared or not at all, within the budget."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from unibiomed.engine import Limits, Refused
from unibiomed.engine.volume_store import VolumeStore
from unibiomed.errors import InputError

MIB = 1 << 20


@pytest.fixture
def store():
    return VolumeStore(Limits(volume_bytes=8 * MIB, one_volume_bytes=6 * MIB, volumes_per_session=4))


def put(store, item, body, piece=1 << 16):
    for start in range(item.received, len(body), piece):
        with store.writing(item.session, item.id, start):
            store.write(item, body[start : start + piece])
    with store.writing(item.session, item.id, len(body)):
        store.complete(item)


def noise(seed, mib):
    return np.random.default_rng(seed).integers(0, 255, (mib, 1024, 1024), dtype=np.uint8)


def refused(code):
    return pytest.raises(Refused, check=lambda error: error.code == code)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("compressed", [False, True])
def test_voxels_arrive_as_they_were_sent(store, bench, dtype, compressed):
    array = bench.torso().astype(dtype)
    told, body = bench.describe_zlib(array) if compressed else (bench.describe(array), array.tobytes())
    item = store.declare("a", told)
    put(store, item, body, piece=777)
    assert item.complete
    assert item.volume.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(item.volume.array, array)
    np.testing.assert_array_equal(item.volume.ijk_to_ras, bench.AFFINE)


def test_colour_and_identifiers_are_kept(store, bench):
    colour = np.stack([bench.torso()] * 3, axis=-1)
    told = bench.describe(colour, modality="pathology", spatial=False, uids=(("series_uid", "1.2.3"),))
    item = store.declare("a", told)
    put(store, item, colour.tobytes())
    assert item.volume.is_color
    assert not item.volume.spatial
    assert item.volume.source.series_uid == "1.2.3"


def test_known_voxels_need_not_be_sent_again_and_are_held_once(store, bench):
    array = noise(0, 2)
    first = store.declare("a", bench.describe(array))
    put(store, first, array.tobytes())
    assert store.declare("a", bench.describe(array)) is first
    moved = tuple(
        tuple(value + (column == 3 and row == 0) for column, value in enumerate(values))
        for row, values in enumerate(bench.AFFINE)
    )
    elsewhere = store.declare("a", bench.describe(array, ijk_to_ras=moved))
    other = store.declare("b", bench.describe(array))
    assert elsewhere.complete
    assert other.complete
    assert len({first.id, elsewhere.id, other.id}) == 3
    assert store.bytes_held == array.nbytes
    store.drop_session("a")
    assert store.bytes_held == array.nbytes
    np.testing.assert_array_equal(other.volume.array, array)
    store.drop_session("b")
    assert store.bytes_held == 0


def test_an_interrupted_upload_goes_on_where_it_was(store, bench):
    told, body = bench.describe_zlib(bench.torso())
    item = store.declare("a", told)
    with store.writing("a", item.id, 0):
        store.write(item, body[:50])
    again = store.declare("a", told)
    assert (again.id, again.received, again.complete) == (item.id, 50, False)
    put(store, again, body)
    assert again.complete


def test_only_the_next_bytes_are_taken_and_from_one_at_a_time(store, bench):
    array = bench.torso()
    item = store.declare("a", bench.describe(array))
    with store.writing("a", item.id, 0):
        store.write(item, array.tobytes()[:100])
        with refused("upload_busy"), store.writing("a", item.id, 100):
            pass
    for offset in (0, 99, 101, 10**15):
        with refused("wrong_offset"), store.writing("a", item.id, offset):
            pass
    put(store, item, array.tobytes())
    with refused("already_complete"), store.writing("a", item.id, 0):
        pass


def test_a_wrong_hash_drops_the_data_and_the_client_can_start_again(store, bench):
    array = bench.torso()
    item = store.declare("a", bench.describe(array))
    wrong = array.copy()
    wrong[0, 0, 0] += 1
    with refused("hash_mismatch"):
        put(store, item, wrong.tobytes())
    assert (item.received, item.complete) == (0, False)
    put(store, item, array.tobytes())
    assert item.complete


def test_a_zip_bomb_is_stopped_at_the_declared_size(store, bench):
    array = np.zeros((2, 64, 64), np.uint8)
    bomb = zlib.compress(bytes(64 * MIB), 9)
    item = store.declare("a", bench.describe(array, encoding="zlib", encoded_bytes=len(bomb)))
    with refused("size_mismatch"):
        put(store, item, bomb)
    assert item.received == 0
    assert store.bytes_held == array.nbytes


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda body: body[:-9], "bad_encoding"),
        (lambda body: body + b"more", "bad_encoding"),
        (lambda body: b"not zlib" + body, "bad_encoding"),
        (lambda body: zlib.compress(zlib.decompress(body)[:-7]), "size_mismatch"),
        (lambda body: zlib.compress(zlib.decompress(body) + b"!"), "size_mismatch"),
    ],
)
def test_lies_about_compressed_data_are_found(store, bench, change, code):
    _, body = bench.describe_zlib(bench.torso())
    sent = change(body)
    item = store.declare("a", bench.describe(bench.torso(), encoding="zlib", encoded_bytes=len(sent)))
    with refused(code):
        put(store, item, sent)
    assert (item.received, item.complete) == (0, False)


def test_more_than_was_declared_is_refused_as_it_arrives(store, bench):
    array = bench.torso()
    item = store.declare("a", bench.describe(array))
    with refused("size_mismatch"), store.writing("a", item.id, 0):
        store.write(item, array.tobytes() + b"!")
    assert item.received == 0


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((4, 8, 8), 7, np.int16), "constant"),
        (np.where(np.arange(256).reshape(4, 8, 8) == 9, np.nan, 1.0).astype(np.float32), "not a number"),
    ],
)
def test_an_image_with_nothing_in_it_is_refused_when_it_is_whole(store, bench, array, said):
    item = store.declare("a", bench.describe(array))
    with pytest.raises(InputError, match=said):
        put(store, item, array.tobytes())
    assert not item.complete


def test_a_volume_beyond_the_limit_is_refused_before_memory_is_taken(store, bench):
    with refused("volume_too_large"):
        store.declare("a", bench.describe(bench.torso(), shape=(60_000, 60_000, 60_000), dtype="float64"))
    assert store.bytes_held == 0


def test_the_longest_unused_volume_makes_room_and_one_with_a_job_stays(store, bench):
    arrays = [noise(seed, 3) for seed in range(3)]
    items = []
    for array in arrays[:2]:
        items.append(store.declare("a", bench.describe(array)))
        put(store, items[-1], array.tobytes())
    items[0].jobs.add("job")
    store.declare("a", bench.describe(arrays[2]))
    assert [store_item.id for store_item in store.of_session("a")][:1] == [items[0].id]
    with refused("unknown_volume"):
        store.get("a", items[1].id)
    with refused("no_room"):
        store.declare("b", bench.describe(noise(3, 6)))


def test_the_number_of_volumes_of_a_session_is_bounded(store, bench):
    items = [store.declare("a", bench.describe(bench.torso(size=rows))) for rows in range(1, 7)]
    kept = [item.id for item in store.of_session("a")]
    assert kept == [item.id for item in items[-4:]]


def test_a_volume_removed_while_it_is_sent_takes_no_more(store, bench):
    array = bench.torso()
    item = store.declare("a", bench.describe(array))
    with store.writing("a", item.id, 0):
        store.drop_session("a")
        with refused("unknown_volume"):
            store.write(item, array.tobytes())
