"""evaluate: one network on the test set, measured once; no choice depends on it.

Of a final student, both the weights that were kept and those that were not are measured, in one pass over the images,
and compared with the logits that the evaluations of its experts have stored (``artifacts/evaluated.py``).
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TypedDict

from typing_extensions import NotRequired

from orchestrator.artifacts.evaluated import LogitsWriter, read_test_logits, write_right
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact
from orchestrator.artifacts.trained import OTHER_WEIGHTS, WEIGHTS
from orchestrator.pipeline.inputs import evaluation_role
from orchestrator.pipeline.kinds import EvaluateSpec
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.stages.train import single_device
from orchestrator.training.data.images import load
from orchestrator.training.evaluation import NotFiniteError, evaluate_finite, measure
from orchestrator.training.fidelity import Fidelity
from orchestrator.training.networks import load_network
from orchestrator.training.process import set_up_process
from orchestrator.training.weights.files import WeightsError


class EvaluateResults(TypedDict):
    """Results of an evaluation in its artifact's record; those after ``calibration_error`` are of a final student.

    ``other_test_accuracy`` is that of the weights that were not kept, where they are stored.
    """

    test_accuracy: float
    test_loss: float
    test_images: int
    validation_accuracy: float
    calibration_error: float
    fidelity: dict[str, Fidelity]
    other_test_accuracy: NotRequired[float]
    other_test_loss: NotRequired[float]


def run(job: Job) -> Artifact:
    """Test (and validation) accuracy of the input network, its calibration and fidelity, without augmentation.

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
    bf16, name = spec.precision == "bf16", spec.network.name
    trained = FolderFiles(folders["network"])
    weights = [WEIGHTS, *([OTHER_WEIGHTS] if trained.has(OTHER_WEIGHTS) else [])]
    experts = {label: read_test_logits(FolderFiles(folders[evaluation_role(label)])) for label in spec.experts}
    with job.store.scratch() as scratch:
        logits = LogitsWriter(scratch, len(data.test), data.classes) if spec.stores_logits else None
        try:
            networks = [load_network(spec.network, trained.path(file)).to(device) for file in weights]
            with closing(data):
                validation_accuracy, _ = evaluate_finite(name, networks[0], data, data.validation, bf16)
                store = logits.put if logits else None
                kept, others = measure(name, networks, data, data.test, bf16, experts, store)
        except (NotFiniteError, WeightsError) as error:
            raise StageError(str(error)) from error
        if logits:
            logits.finish()
        write_right(scratch, kept.right)
        results: EvaluateResults = {
            "test_accuracy": kept.accuracy,
            "test_loss": kept.loss,
            "test_images": len(data.test),
            "validation_accuracy": validation_accuracy,
            "calibration_error": kept.calibration_error,
            "fidelity": kept.fidelity,
        }
        for accuracy, loss in others:
            results |= {"other_test_accuracy": accuracy, "other_test_loss": loss}
        return job.commit(scratch, start, dict(results))
