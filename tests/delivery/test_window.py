"""The window: whatever an app answers, the offset never passes an event that it has not taken."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ffd.delivery.window import Window

# One letter a step: what the app or the dispatcher does next, each with a number that picks its object.
STEPS = st.lists(st.tuples(st.sampled_from("sxann d".replace(" ", "")), st.integers(0, 7)), max_size=60)


class Model:
    """What a window promises, said as simply as can be: `matches` are the sequences that the filter lets through."""

    def __init__(self, size: int, matches: set[int]) -> None:
        self.window = Window(0, size)
        self.size = size
        self.matches = matches
        self.taken: set[int] = set()
        self.flying: set[int] = set()

    def step(self, what: str, number: int) -> None:
        flying = sorted(self.flying)
        one = flying[number % len(flying)] if flying else 0
        match what:
            case "s":
                self._send(number)
            case "a":
                self._ack(one)
            case "n":
                self._nack(one)
            case "d":
                self.window.settle(self.window.offset)
            case "x":
                assert not self.window.ack(["never sent"]) and self.window.nack("never sent") is None

    def _send(self, events: int) -> None:
        sent, read = list[tuple[int, str]](), self.window.read
        while read < self.window.read + events and len(sent) < self.window.room:
            read += 1
            if read in self.matches:
                sent.append((read, str(read)))
        self.window.send(sent, read)
        self.flying |= {sequence for sequence, _ in sent}
        self.taken |= {n for n in range(read + 1) if n not in self.matches}

    def _ack(self, one: int) -> None:
        assert self.window.ack([str(one)]) == bool(one)
        self.flying.discard(one)
        self.taken.add(one)

    def _nack(self, one: int) -> None:
        assert self.window.nack(str(one)) == (one or None)
        if one:
            self.flying = {sequence for sequence in self.flying if sequence < one}
            self.taken = {sequence for sequence in self.taken if sequence < one}

    def check(self) -> None:
        window = self.window
        assert all(n in self.taken for n in range(1, window.offset + 1)), "the offset passes only what is done"
        assert window.durable <= window.offset <= window.read
        assert 0 <= window.in_flight <= self.size
        assert self.flying <= set(range(window.offset + 1, window.read + 1))


@settings(deadline=None, max_examples=300)
@given(size=st.integers(1, 5), matches=st.sets(st.integers(1, 100)), steps=STEPS)
def test_the_offset_passes_only_what_was_acknowledged_or_filtered(
    size: int, matches: set[int], steps: list[tuple[str, int]]
) -> None:
    model = Model(size, matches)
    for what, number in steps:
        model.step(what, number)
        model.check()


def test_the_window_opens_when_the_offset_is_on_disk_and_not_before() -> None:
    window = Window(0, 2)
    window.send([(1, "one"), (2, "two")], 2)
    assert window.room == 0
    assert window.ack(["one", "two"])
    assert window.room == 0 and window.offset == 2
    window.settle(2)
    assert window.room == 2


def test_an_ack_out_of_order_counts_when_those_before_are_taken() -> None:
    window = Window(0, 3)
    window.send([(1, "one"), (2, "two"), (3, "three")], 3)
    assert window.ack(["three"])
    assert window.offset == 0
    assert not window.ack(["three"]), "it is not in flight any more"
    assert window.ack(["one", "two"])
    assert window.offset == 3


def test_a_late_ack_of_what_was_refused_is_known_and_changes_nothing() -> None:
    window = Window(0, 3)
    window.send([(1, "one"), (2, "two")], 2)
    assert window.nack("one") == 1
    assert window.revoked("two") and not window.ack(["two"])
    assert window.read == 0 and window.offset == 0
    window.send([(1, "one"), (2, "two")], 2)
    assert not window.revoked("two") and window.ack(["one", "two"])


def test_a_late_ack_is_known_though_an_earlier_event_was_refused_meanwhile() -> None:
    window = Window(0, 3)
    window.send([(1, "one"), (2, "two")], 2)
    assert window.nack("two") == 2 and window.nack("one") == 1
    assert window.revoked("two") and window.revoked("one")
    window.send([(1, "one")], 1)
    assert window.revoked("two") and not window.revoked("one")
