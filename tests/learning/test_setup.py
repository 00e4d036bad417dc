import pytest
import torch
from tiny_net import equal, weights_of

from ecsim.core.errors import UserError
from ecsim.learning.cloud import CloudTraining
from ecsim.learning.keys import Architecture
from ecsim.learning.setup import JointDistillation

BASE = (2, 0)


def base(data):
    rows = [i for i, label in enumerate(data.labels.tolist()) if label in BASE][:40]
    return data.images[rows], data.labels[rows]


def fitted(architecture, teacher, data, compute, **params):
    net = architecture.build([BASE], seed=1)
    setup = JointDistillation(JointDistillation.Params(**({"epochs": 3} | params)))
    metrics = setup.fit(net, teacher, *base(data), 7, compute)
    return net, metrics


def test_cloud_training_learns_and_repeats_bit_for_bit(data, tiny, compute):
    nets = [tiny.build([range(4)], seed=3) for _ in range(2)]
    training = CloudTraining(CloudTraining.Params(epochs=40, lr=0.02, batch_size=16))
    metrics = [training.fit(net, data.images, data.labels, 5, compute) for net in nets]
    assert equal(weights_of(nets[0]), weights_of(nets[1])) and metrics[0] == metrics[1]
    assert not nets[0].training
    predicted = nets[0](torch.as_tensor(data.images)).argmax(1).numpy()
    assert (predicted == data.labels).mean() > 0.9


def test_columns_are_global_classes(data, tiny, compute):
    net = tiny.build([(3, 1), (0, 2)], seed=3)
    training = CloudTraining(CloudTraining.Params(epochs=60, lr=0.02, batch_size=16))
    training.fit(net, data.images, data.labels, 5, compute)
    predicted = torch.tensor(net.classes)[net(torch.as_tensor(data.images)).argmax(1)].numpy()
    assert (predicted == data.labels).mean() > 0.9


def test_teacher_counts_by_the_students_columns_only(data, tiny, compute):
    whole = tiny.build([range(4)], seed=9).eval()
    cut = tiny.build([(0, 2)], seed=9).eval()  # the same backbone, two rows of the same head
    cut.backbone.load_state_dict(whole.backbone.state_dict())
    cut.heads[0].load_state_dict({k: v[[0, 2]] for k, v in whole.heads[0].state_dict().items()})
    with torch.no_grad():
        whole.heads[0].bias[[1, 3]] += 100  # a teacher that is sure of classes not asked for
    results = [fitted(tiny, teacher, data, compute, logit_weight=5.0) for teacher in (whole, cut)]
    for name, tensor in weights_of(results[0][0]).items():
        # 1e-5: the teacher's product has another shape, so its sums may round differently
        torch.testing.assert_close(tensor, weights_of(results[1][0])[name], rtol=0, atol=1e-5)


def test_the_teacher_teaches_and_stays_as_it_is(data, tiny, compute):
    teacher = tiny.build([range(4)], seed=9)
    before = weights_of(teacher)
    with_teacher, _ = fitted(tiny, teacher, data, compute, logit_weight=2.0)
    without, _ = fitted(tiny, teacher, data, compute, logit_weight=0.0)
    assert equal(before, weights_of(teacher))
    assert not equal(weights_of(with_teacher), weights_of(without))


def spiking():
    return Architecture("spiking_vgg", None, (1, 2, 2))


def test_alignment_changes_the_network_and_leaves_no_hook(data, compute):
    teacher = Architecture("vgg", None, (1, 2, 2)).build([range(4)], seed=9)
    plain, _ = fitted(spiking(), teacher, data, compute, epochs=1)
    aligned, metrics = fitted(spiking(), teacher, data, compute, epochs=1, align_weight=1.0)
    again, same = fitted(spiking(), teacher, data, compute, epochs=1, align_weight=1.0)
    assert not equal(weights_of(plain), weights_of(aligned))
    assert equal(weights_of(again), weights_of(aligned)) and metrics == same
    assert metrics["loss"] > 0
    assert not any(module._forward_hooks for module in [*aligned.modules(), *teacher.modules()])


def test_alignment_needs_an_overlap(data, compute, tiny):
    teacher = tiny.build([range(4)])
    with pytest.raises(UserError, match="align_weight"):
        fitted(spiking(), teacher, data, compute, align_weight=1.0)


def test_detached_alignment_is_no_alignment(data, compute):
    """The negative control of Table 2: the term is in the loss and changes no weight."""
    vgg, spiking = (Architecture(name, None, (1, 2, 2)) for name in ("vgg", "spiking_vgg"))
    teacher = vgg.build([range(4)], seed=9)
    nets = {
        (weight, gradient): fitted(
            spiking, teacher, data, compute, epochs=2, align_weight=weight, align_gradient=gradient
        )
        for weight, gradient in ((0.0, True), (0.5, False), (0.5, True))
    }
    off, control, on = (weights_of(net) for net, _ in nets.values())
    assert equal(off, control) and not equal(off, on)
    losses = [metrics["loss"] for _, metrics in nets.values()]
    assert losses[1] > losses[0]


def test_label_smoothing_softens_the_labels(data, tiny, compute):
    teacher = tiny.build([range(4)], seed=9)
    plain, smooth = (
        fitted(
            tiny, teacher, data, compute, logit_weight=0.0, label_smoothing=s, epochs=60, lr=0.02
        )[0]
        for s in (0.0, 0.5)
    )
    images = torch.as_tensor(base(data)[0])
    surest = [net(images).softmax(1).amax(1).mean().item() for net in (plain, smooth)]
    # the best answer to labels of .75 and .25 is .75
    assert surest[0] > 0.85 > surest[1]
