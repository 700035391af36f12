"""The page of a real run in a real browser: drawn whole, without an error, without a request, at any width."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.examples import page, run_of
from tests.report.test_live import LATER, states
from tests.run.conftest import Finished, Place

selenium = pytest.importorskip("selenium", reason="the page is looked at with selenium (extra `dev`)")
from selenium.webdriver import Chrome, ChromeOptions  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

pytestmark = pytest.mark.long

WIDE, PHONE = 1280, 390
PATIENCE = 120.0  # seconds until everything is drawn, on a machine with other things to do


def until(ready: Callable[[], Any]) -> Any:
    """Returns the value of ``ready`` as soon as it is true."""
    end = time.monotonic() + PATIENCE
    while not (found := ready()):
        assert time.monotonic() < end, "the page is not ready"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """Headless Chromium that keeps a log of its console and of its requests."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no Chromium with its chromedriver is installed (Debian: apt install chromium chromium-driver)")
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


def show(browser: Chrome, file: Path, width: int, theme: str) -> None:
    """Open a page at a width, in the light or the dark, and wait until it is drawn."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    wanted = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(file.as_uri())
    until(lambda: browser.execute_script("return document.body.dataset.drawn"))


def requests(browser: Chrome) -> list[str]:
    """The addresses that the page has requested since it was opened."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def whole(undisturbed: tuple[Place, Finished]) -> Path:
    """The page of the whole run."""
    place, finished = undisturbed
    assert finished.code == 0, finished.err[-3000:]
    run = (place.storage / "reports" / "latest").read_text()
    return place.storage / "reports" / run / "report.html"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_a_real_run_s_page_is_whole(browser: Chrome, whole: Path, width: int, theme: str) -> None:
    show(browser, whole, width, theme)
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    for figure in browser.find_elements(By.CSS_SELECTOR, "figure.chart"):
        assert figure.find_elements(By.CSS_SELECTOR, ".main-svg"), figure.text
        assert figure.find_element(By.TAG_NAME, "figcaption").text
        assert figure.find_element(By.CSS_SELECTOR, ".plot").size["height"] > 100
    assert (
        len(browser.find_elements(By.CSS_SELECTOR, "figure.chart")) >= 10
    )  # Optuna draws none where all trials are alike
    for link in browser.find_elements(By.CSS_SELECTOR, "nav a"):
        link.click()
        part = (link.get_attribute("href") or "").partition("#")[2]
        last = browser.execute_script("return innerHeight + scrollY >= document.documentElement.scrollHeight - 2")
        assert -2 <= _top(browser, part) <= 200 or last, part
    for summary in browser.find_elements(By.TAG_NAME, "summary"):
        browser.execute_script("arguments[0].click()", summary)
    over = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, "the page scrolls sideways"
    for image in browser.find_elements(By.CSS_SELECTOR, ".images img"):
        assert browser.execute_script("return arguments[0].naturalWidth", image) > 0
    assert {url for url in requests(browser) if not url.startswith(("data:", "blob:"))} == {whole.as_uri()}
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def _top(browser: Chrome, part: str) -> float:
    return float(
        browser.execute_script("return document.getElementById(arguments[0]).getBoundingClientRect().top", part)
    )


def test_figures_follow_the_light_and_the_width(browser: Chrome, whole: Path) -> None:
    show(browser, whole, WIDE, "light")
    colour = "return getComputedStyle(document.querySelector('.xtitle')).fill"
    width = "return document.querySelector('.main-svg').getBoundingClientRect().width"
    before, wide = browser.execute_script(colour), browser.execute_script(width)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    until(lambda: browser.execute_script(colour) != before)
    narrow = {"width": 800, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    until(lambda: browser.execute_script(width) < wide)


def test_the_command_can_be_copied_with_the_keyboard(browser: Chrome, whole: Path) -> None:
    show(browser, whole, WIDE, "light")
    button = browser.find_element(By.CSS_SELECTOR, "button.copy")
    button.send_keys("\n")
    until(lambda: button.text == "Copied")


def test_the_page_of_a_run_that_goes_on_loads_itself_again_and_stays_where_one_was(
    browser: Chrome, tmp_path: Path
) -> None:
    made = run_of(tmp_path, without=LATER)
    page(made, states())
    file = Path(made[1].path("reports", made[0].run_id, "report.html"))
    show(browser, file, WIDE, "light")
    assert "The run goes on" in browser.find_element(By.ID, "status").text
    browser.execute_script("document.getElementById('all-stages').open = true; scrollTo(0, 900); window.old = true")
    until(lambda: browser.execute_script("return !window.old && document.body && document.body.dataset.drawn"))
    assert browser.execute_script("return [scrollY, document.getElementById('all-stages').open]") == [900, True]
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
