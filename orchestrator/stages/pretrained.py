"""pretrained: an expert with imported weights, and its accuracy on validation images.

The artifact has the weights alone, as the network holds them, with the names of the classes (``artifacts/trained.py``).
Where the weights want another normalisation than the data's, these are the weights of the network behind the change.
"""

from __future__ import annotations

import time
from contextlib import closing

from orchestrator.artifacts import dataset
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact, file_sha256
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.kinds import PretrainedSpec
from orchestrator.recipe.choices import NormalisationSpec
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.stages.train import single_device
from orchestrator.training.data.images import load
from orchestrator.training.evaluation import evaluate_finite
from orchestrator.training.networks import open_network, renormalised
from orchestrator.training.process import set_up_process
from orchestrator.training.weights.data_config import data_config_of, mismatches
from orchestrator.training.weights.files import check_classes, write_safetensors


def run(job: Job) -> Artifact:
    """Read a network's weights from the recipe's file, and evaluate it.

    Raises:
        StageError: when the file has changed since the run was planned, the weights do not fit the network or its
            classes, or its logits are not finite.
    """
    start = time.time()
    spec = PretrainedSpec.from_plain(job.spec)
    set_up_process(spec.threads)
    device, folder, path = single_device(job), job.folders()["data"], job.facts.weights
    assert path is not None, "a pretrained stage without a file of weights"
    about = dataset.read_about(FolderFiles(folder))
    class_names, given = about.class_names, NormalisationSpec(mean=about.mean, std=about.std)
    try:
        if file_sha256(path) != spec.sha256:
            raise StageError(f"ladder.networks: weights {path} have changed since the run was planned; start it anew")
        plain = spec.network.model_copy(update={"renormalised": False})
        opened = open_network(plain, path)
        check_classes(path, opened.class_names, class_names)
        network, wanted = opened.network, data_config_of(path, plain)
        if spec.normalisation:
            network = renormalised(network, given, spec.normalisation)
        data = load(
            folder, root=job.dataset_root, augmentation="none", views_seed=0, device=device,
            decoders=job.resources.cpus,
        )  # fmt: skip
        bf16 = spec.precision == "bf16"
        weights = {name: value.clone().contiguous() for name, value in network.state_dict().items()}
        with closing(data):
            accuracy, loss = evaluate_finite(spec.network.name, network.to(device), data, data.validation, bf16)
    except (ValueError, OSError) as error:
        raise StageError(f"ladder.networks: {error}") from error
    with job.store.scratch() as scratch:
        write_safetensors(scratch / WEIGHTS, weights, class_names)
        results = {
            "validation_accuracy": accuracy,
            "validation_loss": loss,
            "brought_sha256": spec.sha256,
            "weights_sha256": file_sha256(scratch / WEIGHTS),
            "notes": list(opened.notes),
            "mismatches": mismatches(plain, wanted, given, spec.normalisation) if wanted else [],
        }
        return job.commit(scratch, start, results)
