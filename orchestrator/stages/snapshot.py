"""snapshot: an expert as it was after a step of its training, and its accuracy on validation images.

The training's artifact holds the weights; this one has them as every expert's (``artifacts/trained.py``), so that what
scores, teaches and evaluates knows no difference.
"""

from __future__ import annotations

import shutil
import time
from contextlib import closing

from orchestrator.artifacts import trained as files
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact, file_sha256
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.inputs import DATA, NETWORK
from orchestrator.pipeline.kinds import SnapshotSpec
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.stages.train import single_device
from orchestrator.training.data.images import load
from orchestrator.training.evaluation import NotFiniteError, evaluate_finite
from orchestrator.training.networks import load_network
from orchestrator.training.process import set_up_process
from orchestrator.training.weights.files import WeightsError


def run(job: Job) -> Artifact:
    """Take a snapshot's weights from the training's artifact, and evaluate it.

    Raises:
        StageError: when its weights can't be read, or its logits are not finite.
    """
    start = time.time()
    spec = SnapshotSpec.from_plain(job.spec)
    set_up_process(spec.threads)
    device, folders = single_device(job), job.folders()
    training = FolderFiles(folders[NETWORK])
    weights = training.path(files.snapshot_file(spec.step))
    data = load(
        folders[DATA], root=job.dataset_root, augmentation="none", views_seed=0, device=device,
        decoders=job.resources.cpus,
    )  # fmt: skip
    name = f"{spec.network.name} after step {spec.step}"
    try:
        with closing(data):
            network = load_network(spec.network, weights).to(device)
            accuracy, loss = evaluate_finite(name, network, data, data.validation, spec.precision == "bf16")
    except (NotFiniteError, WeightsError) as error:
        raise StageError(str(error)) from error
    with job.store.scratch() as scratch:
        shutil.copyfile(weights, scratch / WEIGHTS)
        files.write_learned_step(scratch, files.read_learned_step(training))
        results = {
            "validation_accuracy": accuracy,
            "validation_loss": loss,
            "weights_sha256": file_sha256(scratch / WEIGHTS),
        }
        return job.commit(scratch, start, results)
