"""The sections of the model card, each from what an export made and measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.export.card_code import code_of, from_image_file
from orchestrator.export.latency import processor
from orchestrator.export.results import Exported
from orchestrator.export.selection import counted, method_words
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.report.markdown import mean, percent, table

FORM_WORDS = {
    "safetensors": "the weights as they were trained; needs the network's definition",
    "torch-export": "a graph that PyTorch runs, normalisation inside",
    "onnx": "a graph that ONNX Runtime runs, normalisation inside",
}
MANY_NAMES = 20  # class names that are listed in the text


def title(exported: Exported) -> str:
    """What the network is called on its card."""
    chosen, data = exported.chosen, exported.run.report["recipe"]["dataset"]["name"]
    if chosen.method is None:
        return f"{chosen.name}, {chosen.row['role']} on {data}"
    return f"{chosen.name} by {chosen.method} on {data}, seed {chosen.seed}"


def introduction(exported: Exported) -> str:
    chosen, about = exported.chosen, exported.run.about_data
    shape = chosen.network
    if chosen.method is None:
        origin = f"It is an expert (`{chosen.row['role']}`) of a ladder that was trained to teach a smaller network."
    else:
        origin = (
            f"It is a student of knowledge distillation, taught by method `{chosen.method}` "
            f"({method_words(chosen.method)}; a TA, teacher assistant, is a network between teacher and student in "
            f"size). The teacher of its ladder is `{exported.run.teacher.name}`, "
            f"{_capacity(exported.run.teacher.row)}."
        )
    if chosen.row["test_accuracy"] is None:
        tested = "Its test accuracy is not known: it was exported before the run had evaluated it."
    else:
        tested = f"Test accuracy {percent(chosen.row['test_accuracy'])} % on {about.counts.test:,} images."
    return (
        f"# {title(exported)}\n\nAn image classifier for {shape.classes} classes: `{shape.name}`, "
        f"{_capacity(_size_row(exported))}. {origin} Why this network: {chosen.why}.\n\n"
        f"{tested}"
    )


def files(exported: Exported) -> str:
    rows = [
        [f"`{file.name}`", file.precision, f"{file.bytes:,}", FORM_WORDS[file.form], f"{file.agreement.largest:.1e}",
         f"{file.agreement.allowed:.1e}"]
        for file in exported.files
    ]  # fmt: skip
    first = exported.files[0].agreement
    text = (
        "## Files\n\n"
        + table(["file", "computes in", "bytes", "what it is", "largest difference", "allowed"], rows)
        + "\n\nEach file was opened again and run on "
        f"{first.images} validation images in batches of {', '.join(map(str, sorted(set(first.batch_sizes))))}; the "
        "graphs in a process of their own that could not import the project that made them. The difference is that of "
        "a logit from the trained network's in fp32"
    )
    text += ", and for int8 from the same file run by that project.\n" if exported.quantised else ".\n"
    if exported.earlier:
        text += (
            f"\nAlso in this folder, from an earlier export and not described here: {', '.join(exported.earlier)}.\n"
        )
    return text.rstrip()


def how_to_use(exported: Exported) -> str:
    about, shape = exported.run.about_data, exported.chosen.network
    names = about.class_names
    order = "grey" if shape.channels == 1 else "RGB" if shape.channels == 3 else f"{shape.channels} channels"
    if names != [str(number) for number in range(len(names))]:
        listed = ", ".join(f"{number} {name}" for number, name in enumerate(names[:MANY_NAMES]))
        more = f", and {len(names) - MANY_NAMES} more, in every file's metadata" if len(names) > MANY_NAMES else ""
        classes = f"Classes, in the order of the logits: {listed}{more}."
    else:
        classes = f"The logits stand for the classes {names[0]} to {names[-1]}, in that order."
    text = (
        f"## Use\n\n**Input**: float32 (N, {shape.channels}, {shape.image_size}, {shape.image_size}), any batch size "
        f"N, {order}, pixels in [0, 1], channels before height and width. The graphs (`.pt2`, `.onnx`) normalise "
        f"inside: give them pixels as they are. With `.safetensors` you normalise yourself: less mean "
        f"{_numbers(about.mean)}, divided by standard deviation {_numbers(about.std)}.\n\n"
        f"**Output**: logits (N, {shape.classes}). {classes}"
    )
    if about.layout == "files":
        text += (
            "\n\nPhotos were turned upright by their EXIF orientation, and transparent pixels composited on white. "
            f"For validation and test a photo's central square of 7/8 of its shorter edge was resized to "
            f"{shape.image_size} pixels (bilinear)."
        )
    blocks = [from_image_file(exported), *(code_of(file, exported) for file in exported.files)]
    return "\n\n".join([text, *(block for block in blocks if block)])


def accuracy(exported: Exported) -> str:
    chosen, report = exported.chosen, exported.run.report
    rows = [[f"this network, `{chosen.name}`", *_accuracies(chosen.row)]]
    seeds = [
        row for row in report["methods"] if row["method"] == chosen.method and row["validation_accuracy"] is not None
    ]
    if chosen.method is not None:
        rows.append([f"`{chosen.method}`, mean of {counted(seeds, 'seed')}", *_over_seeds(seeds, mean)])
        rows.append(["sample standard deviation over seeds", *_over_seeds(seeds, _deviation)])
        rows += [[f"seed {row['seed']}", *_accuracies(row)] for row in seeds]
    if not exported.is_teacher:
        rows.append([f"teacher `{exported.run.teacher.name}`", *_accuracies(exported.run.teacher.row)])
    precision = exported.chosen.artifact.results.get("precision")
    text = "## Accuracy\n\n" + table(["network", "validation %", "test %"], rows)
    text += "\n\nThe run used its test images once for each network."
    choices = _chosen_by_validation(exported)
    if choices:
        text += f" Its validation images chose {choices}, so validation accuracy is optimistic."
    if precision == "bf16":
        text += " The run measured in bf16; these files compute in fp32, where a few predictions may differ."
    return text


def int8(exported: Exported) -> str:
    quantised = exported.quantised
    if quantised is None:
        return ""
    before, after = (
        next(file for file in exported.files if file.name == name) for name in ("model.onnx", "model-int8.onnx")
    )
    rows = [
        [part, f"{found.images:,}", percent(found.before), percent(found.after), f"{100 * found.drop:.2f}",
         percent(found.agreement)]
        for part, found in quantised.accuracy.items()
    ]  # fmt: skip
    ratio = exported.timing.ratio(after.name, before.name)
    return (
        "## int8\n\nStatic quantisation by ONNX Runtime (QDQ, weights by output channel, activations by tensor), "
        f"calibrated on {quantised.calibrated_on} training images.\n\n"
        + table(["part", "images", "fp32 %", "int8 %", "drop (points)", "same prediction %"], rows)
        + f"\n\nSize {before.bytes:,} to {after.bytes:,} bytes. One image takes {ratio:.2f} times what it takes in fp32"
        + (": int8 saves size here, and no time. " if ratio > 1 else ". ")
        + f"One image more or less is {100 / quantised.accuracy['test'].images:.2f} points on test. The test "
        "figures are a second use of the test images, made after every choice; nothing was chosen by them."
    )


def speed_and_size(exported: Exported) -> str:
    rows = [
        [f"`{row.name}`", row.mine, row.teachers, f"{row.ratio:.3f}", f"{file.bytes:,}", f"{file.teacher_bytes:,}"]
        for row, file in zip(exported.latencies(), exported.files, strict=True)
    ]
    compared = "the teacher itself" if exported.is_teacher else f"the teacher `{exported.run.teacher.name}`"
    return (
        "## Speed and size\n\n"
        + table(["file", "ms an image", "teacher's ms", "ratio", "bytes", "teacher's bytes"], rows)
        + f"\n\nOne image, one thread, on {processor()}: median and, in brackets, 10th and 90th percentile over "
        f"{exported.timing.rounds} rounds. In each round every file had its turn, and {compared} in the same format; "
        "the second of two passes counted, so that weights were in the caches. `ratio` is the median over rounds. For "
        "safetensors the network ran in PyTorch as it was trained, batch norm and all; the graphs have it folded in."
    )


def teaching(exported: Exported) -> str:
    artifact = exported.chosen.artifact
    if artifact.kind == "pretrained":
        return "## How it was trained\n\nIts weights were brought to the run, which took them as they were."
    spec, results = TrainSpec.from_plain(artifact.spec), artifact.results
    taught, optimizer = results["taught_with"], spec.optimizer
    lines = []
    if spec.guidance.kind == "labels":
        lines.append("Taught by the labels alone.")
    else:
        drop = spec.guidance.stochastic_drop
        lines += [
            f"Taught by {', '.join(f'`{name}`' for name in spec.guidance.experts)} (guidance `{spec.guidance.kind}`).",
            f"Temperature {taught['temperature']:g}, weight of distillation {taught['kd_weight']:g}: loss = "
            f"{1 - taught['kd_weight']:.2g} x cross-entropy + {taught['kd_weight']:.2g} x Kullback-Leibler divergence "
            f"from the expert x temperature squared."
            + (f" Each expert was dropped with probability {drop:g}." if drop else ""),
        ]
    curriculum = taught["curriculum"]
    if curriculum:
        lines.append(f"Curriculum: {_settings(curriculum)}.")
    else:
        lines.append("No curriculum.")
    if _searched(exported):
        lines.append("These settings come from a search, by validation accuracy.")
    lines.append(
        f"{results['steps']} steps of {spec.batch_size} images, {optimizer.name}, learning rate "
        f"{optimizer.learning_rate:g} ({optimizer.schedule}), weight decay {optimizer.weight_decay:g}, augmentation "
        f"`{spec.augmentation}`, {results['precision']}; the weights kept are those of step {results['kept_step']}."
    )
    return "## How it was taught\n\n" + "\n".join(f"- {line}" for line in lines)


def data(exported: Exported) -> str:
    about, dataset = exported.run.about_data, exported.run.report["recipe"]["dataset"]
    counts = about.counts
    text = (
        f"## Data\n\n`{dataset['name']}`: {counts.train:,} training, {counts.validation:,} validation and "
        f"{counts.test:,} test images, {about.classes} classes. Fingerprint of the source: "
        f"`{exported.run.data.spec['fingerprint']}`."
    )
    if counts.skipped:
        text += f" {counts.skipped:,} broken images were left out."
    if dataset["severity"]:
        text += " The images were damaged on purpose, each by a drawn severity, test images too."
    return text


def limits(exported: Exported) -> str:
    lines = [
        "It knows its classes and no others: an image of something else gets one of them all the same.",
        "Its accuracy is known on images like the test images, and on no others; nothing was measured of robustness, "
        "bias or calibration of its probabilities.",
    ]
    if exported.chosen.method is not None:
        lines.append("One seed is one draw: compare methods by the mean and spread over seeds above.")
    if exported.quantised:
        lines.append(
            "On x86 processors without VNNI int8 sums can saturate, and on others int8 can be emulated: measure "
            "accuracy and speed where the file is to run."
        )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def again(exported: Exported) -> str:
    run, artifact = exported.run, exported.chosen.artifact
    lines = [
        f"run: `{run.id}`, recipe `{run.report['run']['name']}` (resolved in the run's `report.json`)",
        f"artifact: `{artifact.identity}`",
        f"SHA-256 of its weights: `{artifact.files[WEIGHTS]['sha256']}`",
        "seeds: " + ", ".join(f"{name} {value}" for name, value in run.report["seeds"].items()),
        "trained with: " + ", ".join(f"{name} {number}" for name, number in artifact.versions.items()),
        f"exported with: {', '.join(f'{name} {number}' for name, number in exported.versions.items())}",
    ]
    return "## To have it again\n\n" + "\n".join(f"- {line}" for line in lines)


def _capacity(row: dict[str, Any]) -> str:
    if row["parameters"] is None:
        return "size not recorded"
    return f"{row['parameters']:,} parameters, {row['multiply_adds']:,} multiply-adds an image"


def _size_row(exported: Exported) -> dict[str, Any]:
    if exported.chosen.method is None:
        return exported.chosen.row
    found: dict[str, Any] = exported.run.report["networks"][-1]  # the student stands last
    return found


def _accuracies(row: dict[str, Any]) -> list[str]:
    return [percent(row["validation_accuracy"]), percent(row["test_accuracy"])]


def _over_seeds(rows: Sequence[dict[str, Any]], statistic: Any) -> list[str]:
    return [percent(statistic([row[part] for row in rows])) for part in ("validation_accuracy", "test_accuracy")]


def _deviation(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def _searched(exported: Exported) -> bool:
    return bool(exported.chosen.artifact.spec.get("searched"))


def _chosen_by_validation(exported: Exported) -> str:
    """What validation accuracy decided, in words; nothing where it decided nothing."""
    spec = exported.chosen.artifact.spec
    choices = {
        "the weights": spec.get("keep") == "best",
        "the search's settings": _searched(exported),
        "this network among others": "best" in exported.chosen.why,
    }
    return " and ".join(choice for choice, made in choices.items() if made)


def _settings(values: dict[str, Any]) -> str:
    flat = {name: _settings(value) if isinstance(value, dict) else value for name, value in values.items()}
    return ", ".join(f"{name} {f'({value})' if name == 'pacing' else value}" for name, value in flat.items())


def _numbers(values: Sequence[float]) -> str:
    return json.dumps([round(value, 4) for value in values])
