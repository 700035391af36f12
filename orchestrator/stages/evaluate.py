"""evaluate: accuracy of one network on the test set, measured once; no choice depends on it."""

from __future__ import annotations

import time
from contextlib import closing

from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.kinds import EvaluateSpec
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.stages.train import single_device
from orchestrator.training.data.images import load
from orchestrator.training.evaluation import NotFiniteError, evaluate_finite
from orchestrator.training.networks import load_network
from orchestrator.training.process import set_up_process
from orchestrator.training.weights.files import WeightsError


def run(job: Job) -> Artifact:
    """Test (and validation) accuracy of the input network, without augmentation.

    Raises:
        StageError: when its weights or logits are not finite.
    """
    start = time.time()
    spec = EvaluateSpec.from_plain(job.spec)
    set_up_process(spec.threads)
    device = single_device(job)
    folders = job.folders()
    data = load(
        folders["data"], root=job.dataset_root, augmentation="none", views_seed=0, device=device,
        decoders=job.resources.cpus,
    )  # fmt: skip
    bf16 = spec.precision == "bf16"
    try:
        network = load_network(spec.network, FolderFiles(folders["network"]).path(WEIGHTS)).to(device)
        with closing(data):
            validation_accuracy, _ = evaluate_finite(spec.network.name, network, data, data.validation, bf16)
            test_accuracy, test_loss = evaluate_finite(spec.network.name, network, data, data.test, bf16)
    except (NotFiniteError, WeightsError) as error:
        raise StageError(str(error)) from error
    results = {
        "test_accuracy": test_accuracy,
        "test_loss": test_loss,
        "test_images": len(data.test),
        "validation_accuracy": validation_accuracy,
    }
    with job.store.scratch() as scratch:
        return job.commit(scratch, start, results)
