"""What every test shares: one thread, so that numbers and times don't depend on the machine's cores, and a generator."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    """A generator of the test's own; two uses in one test continue one stream."""
    return torch.Generator().manual_seed(0)
