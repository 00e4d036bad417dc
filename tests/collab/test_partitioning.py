"""What an observer of a cut hears, on a route of three nodes."""

from types import SimpleNamespace

from ecsim.collab.partitioning import Observer, Split, run_cut
from ecsim.core.types import Answer, Cut, ModelRef, Task

MODEL = ModelRef("cloud", 0, "cloud-0", (0, 1), 100)
TASK = Task(0, "cam", 1, 0, 1, 0.0, 1000.0)
ROUTE = ("cam", "hub", "cloud")


class Notes(Observer):
    def __init__(self, heard):
        self.heard = heard

    def sending(self, hop):
        self.heard.append(("sending", hop))

    def sent(self, hop, is_up, size_bytes):
        self.heard.append(("sent", hop, is_up, size_bytes))

    def running(self, node):
        self.heard.append(("running", node))

    def ran(self, node, part, prediction):
        self.heard.append(("ran", node, part, prediction.label))


def serve(cut, moved):
    """Give the generator of a task, and the list in which its operations and notes stand."""
    heard = []
    ctx = SimpleNamespace(
        send=lambda a, b, size_bytes: heard.append((a, b, size_bytes)),
        infer=lambda node, task, model, part: heard.append((node, part.index)),
    )
    split = Split(ROUTE, MODEL, cut, moved)
    return run_cut(TASK, ctx, split, 5.0, observer=Notes(heard)), heard


def test_it_hears_of_each_message_and_each_part_as_they_begin_and_end():
    """The hub runs nothing; the cloud reads the sample too, and the device runs the last part."""
    cut = Cut((("input", "a"), (), ("b",), ("c",)), (0, 1, 2, 0))
    serving, heard = serve(cut, (("input", "a"), ("input", "a"), ("b",)))
    predictions = iter(
        [SimpleNamespace(label=label, out_bytes=size) for label, size in ((7, 40.0), (8, 60.0))]
        + [SimpleNamespace(label=9, out_bytes=0.0)]
    )
    answer, given = None, None
    while answer is None:
        try:
            serving.send(given)
        except StopIteration as end:
            answer = end.value
        given = next(predictions) if len(heard[-1]) == 2 and heard[-1][0] in ROUTE else None
    assert heard == [
        ("running", 0), ("cam", 0), ("ran", 0, ("input", "a"), 7),
        ("sending", 0), ("cam", "hub", 1040.0), ("sent", 0, True, 1040.0),
        ("sending", 1), ("hub", "cloud", 1040.0), ("sent", 1, True, 1040.0),
        ("running", 2), ("cloud", 2), ("ran", 2, ("b",), 8),
        ("sending", 1), ("cloud", "hub", 60.0), ("sent", 1, False, 60.0),
        ("sending", 0), ("hub", "cam", 60.0), ("sent", 0, False, 60.0),
        ("running", 0), ("cam", 3), ("ran", 0, ("c",), 9),
    ]  # fmt: skip
    assert isinstance(answer, Answer)
    assert (answer.label, answer.at) == (9, "cam")


def test_what_is_abandoned_has_begun_and_does_not_end():
    serving, heard = serve(Cut((("input",), ("a",)), (0, 1)), (("input",),))
    next(serving)
    serving.close()
    assert heard == [("sending", 0), ("cam", "hub", 1000.0)]
