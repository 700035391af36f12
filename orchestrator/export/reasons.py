"""Other libraries' errors as one line: whole sentences, without terminal colours."""

from __future__ import annotations

import re

ENOUGH = 240  # characters after which no further sentence is added; a sentence is never cut
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`'\"(-])")
_TRACEBACK = "Traceback (most recent call last):\n"


def reason_of(error: BaseException) -> str:
    """Returns the class and the first sentences of an error; of PyTorch's ONNX exporter those of the error below it."""
    while type(error).__module__.startswith("torch.onnx") and error.__cause__ is not None:
        error = error.__cause__  # the exporter's own text says what to send to its developers
    return f"{type(error).__name__}: {sentences(str(error))}".removesuffix(": ")


def reason_in(output: str) -> str:
    """Returns the error that ended a Python process, from what it wrote to standard error; empty where there is none.

    Without a traceback this is the last line.
    """
    _, found, trace = output.rpartition(_TRACEBACK)
    if not found:
        return sentences(output.strip().rpartition("\n")[2])
    lines = trace.splitlines()
    start = next((number for number, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))
    return sentences("\n".join(lines[start:]))


def sentences(text: str) -> str:
    """Returns the first sentences of a text's first paragraph, in one line."""
    paragraph = re.split(r"\n\s*\n", _CONTROL.sub("", text).strip())[0]
    said = ""
    for sentence in _SENTENCE.split(" ".join(paragraph.split())):
        if said and len(said) + len(sentence) > ENOUGH:
            break
        said += f" {sentence}" if said else sentence
    return said
