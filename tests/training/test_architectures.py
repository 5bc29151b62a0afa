"""Named architectures: each reads the inputs of its size, and starts quietly."""

from __future__ import annotations

import pytest
import torch

from training.architectures import STUDENTS, TEACHERS, Architecture, fresh_network
from training.denoising import token_ids


@pytest.mark.parametrize("architecture", ["moebius-tiny", "pixelhacker-tiny"])
def test_a_fresh_network_predicts_little(architecture: Architecture) -> None:
    network = fresh_network(architecture).train()
    sample = torch.randn(2, 9, network.config.sample_size, network.config.sample_size)
    with torch.no_grad():
        predicted = network(sample, torch.tensor([10, 900]), token_ids(torch.tensor([0, 1])))
    assert predicted.shape == (2, 4, *sample.shape[2:])
    assert predicted.std() < 0.3


def test_every_student_has_a_teacher_of_its_size() -> None:
    students = {name.removeprefix("moebius"): config for name, config in STUDENTS.items()}
    teachers = {name.removeprefix("pixelhacker"): config for name, config in TEACHERS.items()}
    assert students.keys() == teachers.keys()
    for size, student in students.items():
        assert teachers[size].sample_size == student.sample_size
        assert teachers[size].channels[-1] == student.channels[-1]
        assert teachers[size].token_width == student.token_width
