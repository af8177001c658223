"""The page of a whole run: its content, and how a real browser shows it."""

import json
import re
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from page_reader import check

from pipeline.report.page import SECTIONS

pytestmark = pytest.mark.slow

PHONE, DESKTOP = 390, 1200  # CSS pixels


@pytest.fixture(params=["bible", "imdb"])
def finished(request):
    return request.param, request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH; on Debian: apt install chromium")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def _page(command, task) -> Path:
    return Path(command.succeeds("report", "--task", task).strip())


def test_report_prints_the_path_of_a_complete_page(finished):
    task, command = finished
    path = _page(command, task)
    summary = command.summary(task)
    assert path == command.root / "runs" / task / summary["run_id"] / "report.html"
    assert 50_000 < path.stat().st_size < 500_000  # bytes
    read = check(path.read_text("utf-8"))
    assert set(SECTIONS) <= set(read.ids)
    assert not re.search("could not be (made|measured)|not measured", read.text)
    for told in (
        summary["run_id"],
        summary["data_sha256"],
        summary["versions"]["tensorflow"],
        f"Blessed, and pushed to {summary['pushed_path']}",
        f"{summary['records']['in']:,}",
        f"{summary['training']['parameters']:,}",
        "Pusher to pushed model",
        "95% interval",
    ):
        assert told in read.text
    for name, value in summary["metrics"]["eval"].items():
        if isinstance(value, float):
            assert re.search(rf"{name}\s*{value:,.{4 * (value % 1 != 0):.0f}f}", read.text), name


def test_the_artifact_is_the_page_before_the_end_with_its_measurements(finished):
    task, command = finished
    pages = list((command.root / "runs" / "artifacts" / task).glob("RunReport/*/*/report.html"))
    assert pages
    for file in pages:
        assert "end only: see report.html" in check(file.read_text("utf-8")).text
        measured = json.loads(file.with_name("measurements.json").read_text("utf-8"))
        assert set(measured) == {"words", "vocabulary", "model", "baselines"}
        assert not [part for part in measured.values() if "error" in part]


def test_the_measured_tokens_write_all_of_the_text(finished):
    task, command = finished
    files = (command.root / "runs" / "artifacts" / task).glob("RunReport/*/*/measurements.json")
    vocabulary = json.loads(next(files).read_text("utf-8"))["vocabulary"]
    assert vocabulary["written"] == pytest.approx(vocabulary["characters"], rel=0.01)
    assert 1 < vocabulary["tokens"] / vocabulary["words"] < 4


def test_the_confusion_matrix_agrees_with_the_evaluator(imdb):
    (file,) = (imdb.root / "runs" / "artifacts" / "imdb").glob("RunReport/*/*/measurements.json")
    model = json.loads(file.read_text("utf-8"))["model"]
    (nn, np), (pn, pp) = model["confusion"]
    metrics = imdb.summary("imdb")["metrics"]["eval"]
    assert nn + np + pn + pp == metrics["example_count"]
    assert (nn + pp) / metrics["example_count"] == pytest.approx(metrics["accuracy"], abs=1e-6)


def test_the_bits_of_the_books_agree_with_the_evaluator(bible):
    files = (bible.root / "runs" / "artifacts" / "bible").glob("RunReport/*/*/measurements.json")
    books = json.loads(next(files).read_text("utf-8"))["model"]["slices"]["book"]
    bits, characters = (sum(book[i] for book in books) for i in (1, 2))
    metrics = bible.summary("bible")["metrics"]["eval"]
    assert bits / characters == pytest.approx(metrics["bits_per_char"], rel=1e-4)


def test_a_missing_page_is_written_again_with_the_same_bytes(bible):
    path = _page(bible, "bible")
    before = path.read_bytes()
    path.unlink()
    assert _page(bible, "bible") == path
    assert path.read_bytes() == before


def test_report_of_an_unknown_run_fails(bible):
    done = bible("report", "20200101-000000")
    assert done.returncode == 1
    assert "no such run" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_browser_shows_it_without_requests_or_warnings(finished, browser, tmp_path, width, dark):
    task, command = finished
    path = _page(command, task)
    browser.open(path, width, dark=dark)
    assert browser.requests == [path.as_uri()]
    assert browser.complaints == []
    assert browser.value("document.documentElement.scrollWidth") <= width
    # The background fits the colour scheme, and every drawing has a size and is not cut off.
    surface = browser.value("getComputedStyle(document.documentElement).backgroundColor")
    assert (int(re.findall(r"\d+", surface)[0]) < 64) is dark
    widths = browser.value("[...document.querySelectorAll('svg')].map(x => x.clientWidth)")
    assert len(widths) >= 8
    assert all(250 < each <= width for each in widths)
    sizes = browser.value(
        "[...document.querySelectorAll('svg text')].map(x => x.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 8  # CSS pixels of a line of text
    browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_the_keyboard_reaches_every_link_fold_and_wide_table(imdb, browser):
    browser.open(_page(imdb, "imdb"), PHONE)
    reachable = "a[href], summary, [tabindex='0']"
    stops = browser.value(f'document.querySelectorAll("{reachable}").length')
    wide = "[...document.querySelectorAll('*')].filter(x => x.scrollWidth > x.clientWidth + 1"
    scrolls = "['auto', 'scroll'].includes(getComputedStyle(x).overflowX))"
    assert stops > len(SECTIONS)
    assert browser.value(f"{wide} && {scrolls}.every(x => x.tabIndex === 0)") is True


def test_it_prints(imdb, browser, tmp_path):
    browser.open(_page(imdb, "imdb"), DESKTOP)
    browser.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
