"""Other libraries' errors in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.onnx import OnnxExporterError

from orchestrator.export.reasons import ENOUGH, reason_in, reason_of, sentences
from orchestrator.export.warnings import quietly

STEPS = "Failed to export the model. \x1b[96mThis is step 1/3\x1b[0m of it. Next steps:\n- Create an issue"


def test_a_sentence_over_several_lines_is_whole_and_later_paragraphs_are_left_out() -> None:
    assert (
        sentences("Expected a size of 3\n  but found 4.\n\nCaused by: file.py") == "Expected a size of 3 but found 4."
    )


def test_terminal_colours_and_control_characters_are_taken_out() -> None:
    assert sentences("\x1b[0;93m2026 [W:onnx]\x1b[m \x1b[1mtoo\x07 large\x1b[0m") == "2026 [W:onnx] too large"


def test_no_sentence_is_cut_and_no_more_than_enough_are_kept() -> None:
    long = "word " * ENOUGH + "end."
    assert sentences(f"{long} Another one.") == long
    assert sentences("Short. " + "Filler sentence. " * 100).endswith("Filler sentence.")
    assert len(sentences("Short. " + "Filler sentence. " * 100)) <= ENOUGH + 20


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError(), "ValueError"),
        (KeyError("size"), "KeyError: 'size'"),
        (RuntimeError("no kernel\nfor half"), "RuntimeError: no kernel for half"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_the_reason_of_an_error_is_its_class_and_message(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_the_exporters_advice_to_its_developers_gives_way_to_the_error_below_it() -> None:
    error = OnnxExporterError(STEPS)
    assert reason_of(error).startswith("OnnxExporterError: Failed to export the model. This is step 1/3 of it.")
    error.__cause__ = TypeError("int() takes no tensor")
    assert reason_of(error) == "TypeError: int() takes no tensor"


def test_a_network_that_onnx_has_no_operator_for_is_said_to_lack_it() -> None:
    class Bessel(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(images)

    with pytest.raises(OnnxExporterError) as caught, quietly():
        torch.onnx.export(Bessel().eval(), (torch.rand(2, 3),), dynamo=True, verbose=False)
    reason = reason_of(caught.value)
    assert "No ONNX function found" in reason and "bessel_j0" in reason and "\x1b" not in reason


def test_the_reason_of_a_failed_process_is_its_error_on_one_line() -> None:
    code = "raise ValueError('the first line\\nand the second')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert reason_in(done.stderr) == "ValueError: the first line and the second"


@pytest.mark.parametrize(("output", "reason"), [("", ""), ("note\n\x1b[31mKilled\x1b[0m\n", "Killed")])
def test_without_a_traceback_the_reason_is_the_last_line(output: str, reason: str) -> None:
    assert reason_in(output) == reason
