"""strata: the difficulty of every test image, by networks that none of the students comes from.

The networks are those of the held-out loss: each is trained on labels without one fold of the training images, and none
has seen a test image. A test image's difficulty is its mean loss under all of them. No stage takes this one's artifact:
it is read by the report alone, and no choice depends on it.
"""

from __future__ import annotations

import time
from contextlib import closing

import numpy as np

from curricula import selection
from curricula.difficulty import rank
from orchestrator.artifacts import strata
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.inputs import DATA, fold_role
from orchestrator.pipeline.kinds import StrataSpec
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.stages.train import single_device
from orchestrator.training.data.images import load
from orchestrator.training.evaluation import not_finite
from orchestrator.training.held_out import mean_losses
from orchestrator.training.networks import load_network
from orchestrator.training.process import set_up_process


def run(job: Job) -> Artifact:
    """Cut the test images into strata of difficulty.

    Raises:
        StageError: when a network's logits are not finite.
    """
    start = time.time()
    spec = StrataSpec.from_plain(job.spec)
    set_up_process(spec.threads)
    device, folders = single_device(job), job.folders()
    data = load(
        folders[DATA], root=job.dataset_root, augmentation="none", views_seed=0, device=device,
        decoders=job.resources.cpus,
    )  # fmt: skip
    paths = [FolderFiles(folders[fold_role(fold)]).path(WEIGHTS) for fold in range(spec.folds)]
    networks = [load_network(spec.network, path).to(device) for path in paths]
    with closing(data):
        difficulty = mean_losses(networks, data, data.test, spec.precision == "bf16")
        labels = data.labels.cpu().numpy()[data.test]
    if not np.isfinite(difficulty).all():
        raise StageError(not_finite("a held-out fold's network"))
    found = selection.strata(rank(difficulty, labels if spec.balanced else None), spec.strata)
    with job.store.scratch() as scratch:
        strata.write(scratch, difficulty, found)
        return job.commit(scratch, start, {"images": len(data.test), "strata": spec.strata})
