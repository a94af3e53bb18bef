"""Who waits for a turn gets one in time and in a fair order, or is told; none is lost, whatever comes in between."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.errors import EndpointRejected
from backend.serving.turns import Turns


async def stays():
    await asyncio.get_running_loop().create_future()


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


class Room:
    """Who is in, in which order they came in, and what stopped the others."""

    def __init__(self, turns):
        self.turns, self.entered, self.inside, self.may_leave = turns, [], Counter(), asyncio.Semaphore(0)

    async def visit(self, name, gone=stays):
        async with self.turns.turn(name, gone):
            self.entered.append(name)
            self.inside[name] += 1
            await self.may_leave.acquire()
            self.inside[name] -= 1

    async def let_out(self, count):
        for _ in range(count):
            self.may_leave.release()
            await settle()


def test_names_take_turns_however_many_of_one_wait():
    async def scene():
        room = Room(Turns(each=2, at_once=2))
        visits = [asyncio.create_task(room.visit(name)) for name in "aaaaaaabbc"]
        await settle()
        assert room.entered == ["a", "a"]
        await room.let_out(len(visits))
        await asyncio.gather(*visits)
        assert room.entered == list("aaabcabaaa")

    asyncio.run(scene())


def test_what_one_name_holds_is_not_taken_from_another():
    async def scene():
        room = Room(Turns(each=3))
        visits = [asyncio.create_task(room.visit(name)) for name in "aaaaabbb"]
        await settle()
        assert room.inside == {"a": 3, "b": 3}
        await room.let_out(len(visits))
        await asyncio.gather(*visits)

    asyncio.run(scene())


def test_a_full_line_and_a_long_wait_are_told():
    async def scene():
        room = Room(Turns(each=1, line=1, patience_s=0.05))
        visits = [asyncio.create_task(room.visit("a")) for _ in range(3)]
        outcomes = await asyncio.gather(*visits[1:], return_exceptions=True)
        assert [(one.code, one.status) for one in outcomes] == [("busy", 503)] * 2
        assert {one.message for one in outcomes} == {
            "The request waited too long for its turn.",
            "Too many requests are already waiting.",
        }
        await room.let_out(1)
        await visits[0]
        assert not room.turns._held
        assert not room.turns._waiting

    asyncio.run(scene())


def test_who_has_gone_leaves_the_line():
    async def scene():
        room, hung_up = Room(Turns(each=1)), asyncio.Event()
        first = asyncio.create_task(room.visit("a"))
        second = asyncio.create_task(room.visit("a", hung_up.wait))
        third = asyncio.create_task(room.visit("a"))
        await settle()
        hung_up.set()
        with pytest.raises(EndpointRejected) as caught:
            await second
        assert caught.value.code == "disconnected"
        await room.let_out(2)
        await asyncio.gather(first, third)
        assert room.entered == ["a", "a"]

    asyncio.run(scene())


@hypothesis_settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["stay", "go", "cancel"])), max_size=12),
    st.integers(1, 3),
    st.one_of(st.none(), st.integers(1, 3)),
)
def test_no_turn_is_lost_and_none_is_given_twice(visitors, each, at_once):
    async def scene():
        room, hung_up = Room(Turns(each=each, at_once=at_once)), asyncio.Event()
        visits = [
            asyncio.create_task(room.visit(name, hung_up.wait if what == "go" else stays)) for name, what in visitors
        ]
        await settle()
        assert all(count <= each for count in room.inside.values())
        assert at_once is None or room.inside.total() <= at_once
        hung_up.set()
        room.may_leave.release()  # somebody leaves in the same moment
        for visit, (_, what) in zip(visits, visitors, strict=True):
            if what == "cancel":
                visit.cancel()
        await settle()
        await room.let_out(len(visits))
        outcomes = await asyncio.gather(*visits, return_exceptions=True)
        assert all(one is None or isinstance(one, EndpointRejected | asyncio.CancelledError) for one in outcomes)
        assert not room.turns._held
        assert not room.turns._waiting

    asyncio.run(scene())
