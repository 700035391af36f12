"""Finished runs to export from: real stages, their artifacts in a real store, but without Ray, in this process."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from orchestrator import datasets, report
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.execution.preflight import check_networks
from orchestrator.pipeline.graph import Plan, Stage
from orchestrator.pipeline.plan import plan
from orchestrator.recipe.schema import Recipe
from orchestrator.stages import evaluate, ingest, strata, train
from orchestrator.stages.ingest_photos import take_part
from orchestrator.stages.job import Job


def recipe(networks: list[str], dataset: dict[str, Any], **changes: Any) -> Recipe:
    """A student on labels and one taught by the teacher, a few steps each, for two seeds."""
    fields: dict[str, Any] = {
        "name": "small",
        "dataset": dataset,
        "ladder": {"networks": networks},
        "training": {
            "steps": 12,
            "batch_size": 16,
            "augmentation": "none",
            "precision": "fp32",
            "optimizer": {"learning_rate": 0.02},
        },
        "distillation": {"source": "online", "temperature": 3.0, "kd_weight": 0.7},
        "search": {"trials": 0},
        "methods": ["labels", "kd"],
        "seeds": [0, 1],
    }
    return Recipe.model_validate(fields | changes)


def generated(channels: int, size: int) -> dict[str, Any]:
    """Generated images of four classes."""
    synthetic = {"images": 192, "test_images": 48, "image_size": size, "channels": channels}
    return {"name": "synthetic", "validation": 64, "synthetic": synthetic}


def photos(folder: Path) -> dict[str, Any]:
    """Photos of three classes, each of its own colour, that lie in ``folder`` afterwards."""
    draws = np.random.default_rng(0)
    for part, count in (("train", 24), ("test", 8)):
        for number, name in enumerate(("blue ship", "green frog", "red car")):
            (folder / part / name).mkdir(parents=True)
            for photo in range(count):
                pixels = draws.integers(0, 120, (72, 90, 3), dtype=np.uint8)
                pixels[..., 2 - number] += 100
                Image.fromarray(pixels).save(folder / part / name / f"{photo}.png")
    return {"name": "image_folder", "root": str(folder), "image_size": 64, "validation": 24}


def finish(wanted: Recipe, store: Store) -> Plan:
    """Do every stage of the recipe and write its report."""
    data = datasets.describe(wanted.dataset)
    planned = plan(wanted, data)
    made: dict[str, Artifact] = {}
    for stage in planned.stages:
        job = Job(
            stage.kind, stage.name, stage.identity, stage.spec.model_dump(mode="json"),
            {role: made[upstream.identity] for role, upstream in stage.inputs}, store.uri, wanted.dataset.root,
            wanted.resources, stage.placement, stage.facts,
        )  # fmt: skip
        run = {"ingest": ingested, "train": trained, "evaluate": evaluated, "strata": cut_into_strata}[stage.kind]
        made[stage.identity] = run(job, stage)
    report.write(planned, store, made, reused=set(), sizes=check_networks(wanted, data))
    return planned


def trained(job: Job, _: Stage) -> Artifact:
    return train.run(job)


def evaluated(job: Job, _: Stage) -> Artifact:
    return evaluate.run(job)


def cut_into_strata(job: Job, _: Stage) -> Artifact:
    return strata.run(job)


def ingested(job: Job, stage: Stage) -> Artifact:
    """The ingest stage in this process, without Ray."""
    recipe = stage.facts.dataset
    assert recipe is not None
    loaded, parts = datasets.load(recipe), []
    if isinstance(loaded, datasets.FileImages):
        parts = [take_part(loaded.photos, 0, len(loaded.labels), recipe.white_level, None)]
    with job.store.scratch() as scratch:
        about = ingest.write(scratch, loaded, datasets.describe(recipe), recipe, parts)
        return job.commit(scratch, job.began, {"counts": dataclasses.asdict(about.counts), "classes": about.classes})
