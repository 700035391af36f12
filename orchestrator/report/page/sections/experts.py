"""Who teaches what: examples of each stratum, who is right where, who taught whom."""

from __future__ import annotations

from typing import Any

from orchestrator.artifacts.store import Store
from orchestrator.recipe.methods import REFERENCE
from orchestrator.report.page.examples import Example, examples
from orchestrator.report.page.figures import experts as figures
from orchestrator.report.page.figures.style import expert_colours
from orchestrator.report.page.markup import Html, folded, join, paragraph, picture, single, table, tag
from orchestrator.report.page.phrases import percent
from orchestrator.report.page.scored import Scored


def experts_section(content: dict[str, Any], store: Store, found: Scored | None) -> Html:
    """Nothing for a run without a curriculum method, or before its images have been scored."""
    taught = content["experts_by_stratum"]
    if found is None and not taught["methods"]:
        return Html("")
    parts: list[Any] = []
    if found is not None:
        parts.append(_examples(content, store, found))
    if taught["methods"]:
        parts.append(tag("h3", "Who taught whom"))
        parts.append(
            picture(
                figures.taught(taught["methods"], taught["experts"]),
                "Which share of each stratum's images each expert taught, over all steps and seeds. With the selector "
                "`stratified` each stratum of `ces_kd` shows mostly one colour. `ces_random` has the same mixture "
                "everywhere, and `ces_reversed` is `ces_kd` upside down.",
            )
        )
        parts.append(folded("The same as a table", _taught_table(taught), key="taught-table"))
    if found is not None:
        parts += _difficulty(content, found)
    return tag("section", tag("h2", "Experts and images"), *parts, id="experts")


def _examples(content: dict[str, Any], store: Store, found: Scored) -> Html:
    shown = examples(content, store, found)
    if isinstance(shown, str):
        return paragraph(shown)
    colours = expert_colours(found.experts)
    rows = []
    shares = content["experts_by_stratum"]["methods"].get(REFERENCE)
    for number, expert in enumerate(found.experts):
        own = [example for example in shown if example.stratum == number]
        name, who = expert, f"its own expert is {expert}"
        if shares and any(shares[number]):
            share, name = max(zip(shares[number], content["experts_by_stratum"]["experts"], strict=True))
            who = f"{percent(share, 0)} taught by {name}"
        swatch = tag("span", class_="swatch", style=f"background:{colours.get(name, colours[expert])}")
        title = tag("h4", swatch, f"Stratum {figures.stratum_name(number, len(found.experts))}: {who}")
        cards = join(_card(example, found) for example in own)
        rows.append(tag("div", title, tag("ul", cards, class_="images"), class_="stratum"))
    dots = join(
        [tag("span", tag("span", class_="dot right", style=f"--of:{colours[name]}"), f" {name}", class_="key")
         for name in found.experts]
    )  # fmt: skip
    explained = tag(
        "p",
        "Training images at even distances in the order of difficulty, the easiest first. Under each: its label, its "
        "place in that order (0 % the easiest), and a dot for each expert, the smallest first, filled where that "
        "expert is right: ",
        dots,
    )
    return join([tag("h3", "Examples of each stratum"), explained, *rows])


def _card(example: Example, found: Scored) -> Html:
    known = f", severity {example.severity:.2f}" if example.severity is not None else ""
    said = f"label {example.label}, difficulty {example.difficulty:.3g}{known}"
    marks: list[Any] = []
    if example.right is not None:
        colours = expert_colours(found.experts)
        right = [name for name, is_right in zip(found.experts, example.right, strict=True) if is_right]
        said += f"; right: {', '.join(right) or 'no expert'}"
        marks = [
            tag("span", class_="dot right" if is_right else "dot", style=f"--of:{colours[name]}")
            for name, is_right in zip(found.experts, example.right, strict=True)
        ]
    picture_of = single("img", src=example.source, alt=said, title=said)
    under = [tag("strong", example.label), f" {100 * example.rank:.0f} %"]
    return tag(
        "li", picture_of, tag("span", *under, class_="under"), tag("span", *marks, class_="dots", aria_hidden="true")
    )


def _taught_table(taught: dict[str, Any]) -> Html:
    rows = [
        [method, figures.stratum_name(number, len(shares)), *(percent(share, 1) for share in row)]
        for method, shares in taught["methods"].items()
        for number, row in enumerate(shares)
    ]
    return table(["method", "stratum", *taught["experts"]], rows, "Share of images that each expert taught.", (0, 1))


def _difficulty(content: dict[str, Any], found: Scored) -> list[Any]:
    scorer = content["recipe"]["difficulty"]["scorer"]
    right = found.right_by_stratum()
    parts: list[Any] = [tag("h3", "Who is right on what")]
    if right is None:
        parts.append(paragraph("The experts' stored logits can't be read from here, so who is right is not shown."))
    else:
        parts.append(
            picture(
                figures.agreement(right, found.experts),
                "How often each expert (column) is right on the training images of each stratum (row). The capacity "
                "gap shows where the right column is far ahead of the left one. Where the columns of a row are "
                "alike, it matters little which expert teaches that stratum.",
            )
        )
    parts.append(
        picture(
            figures.difficulty_histogram(found.difficulty, found.strata, found.experts, scorer),
            f"Training images by difficulty (`{scorer}`), in the colour of their stratum's own expert. Where one "
            "narrow  peak is cut by a stratum's border, images on either side of it "
            "are hardly different.",
        )
    )
    known = content["difficulty"].get("severity_correlation")
    if known:
        rows = sorted(known.items(), key=lambda item: -(item[1] or 0))
        shown = [[name, "-" if value is None else f"{value:.3f}"] for name, value in rows]
        parts.append(
            table(
                ["difficulty", "rank correlation"], shown, "Each difficulty against the known severity of the images."
            )
        )
    return parts
