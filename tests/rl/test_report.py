"""`python -m rl.report`: its numbers, and the page in a headless browser."""

import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest

import rl.report
from rl.experiments.lines import lines_of
from rl.experiments.report.content import content
from rl.experiments.report.page import html
from rl.experiments.report.serving import server
from rl.experiments.statistics import mean_interval
from tests.browser import CHROMIUM, Browser
from tests.conftest import Command, Start
from tests.runs import unfinished_run

TAG = "</script><script>document.title = 'taken'</script>"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two seeds of one line, and one run of another; returns of 33 … 100, 66 … 200, and 99 … 300."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for i, settings in enumerate(({"seed": 0}, {"seed": 1}, {"n_steps": 5, "wrappers": [TAG]}), 1):
        run = unfinished_run(folder / str(i), **settings)
        rows = [line.split(",") for line in (run / "metrics.csv").read_text(encoding="utf-8").splitlines()]
        for row in rows[1:]:
            row[1] = str(float(row[1]) * i)
        (run / "metrics.csv").write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    return folder


def test_curves_are_means_with_their_intervals(runs: Path) -> None:
    found = json.loads(json.dumps(content(lines_of([runs])), allow_nan=False))
    (panel,) = found["panels"]  # policy shift and entropy are constant
    assert panel["metric"] == "rollout/ep_rew_mean"
    several, single = panel["curves"]
    assert (several["x"][0], several["x"][-1], several["y"][-1]) == (100, 300, pytest.approx(150, rel=2e-3))
    interval = mean_interval([100.0, 200.0], resamples=500)
    assert [several["low"][-1], several["high"][-1]] == pytest.approx([interval.low, interval.high], rel=2e-3)
    assert (single["line"], single["y"]) == (1, [100, 200, 300])
    assert "intervals. Of 2 runs, this is their range" in found["caption"]
    assert [(run["seed"], run["state"], run["step"]) for run in found["runs"]] == [
        (0, "not finished", 300), (1, "not finished", 300), (0, "not finished", 300),
    ]  # fmt: skip
    assert {row["name"]: (row["values"], row["default"]) for row in found["settings"]}["n_steps"] == (["1", "5"], "1")


def test_a_row_that_is_being_written_is_left_out(runs: Path) -> None:
    with (runs / "3" / "metrics.csv").open("a", encoding="utf-8") as file:
        file.write("400,1.5")
    assert content(lines_of([runs / "3"]))["runs"][0]["step"] == 300  # type: ignore[index]


def test_the_command_writes_one_file(runs: Path, command: Command, tmp_path: Path) -> None:
    (runs / "1" / "films").mkdir()
    (runs / "1" / "films" / "a.gif").write_bytes(b"GIF89a")
    out = tmp_path / "new" / "report.html"
    status, said, err = command(rl.report, runs, "--out", out)
    assert (status, err) == (0, "")
    assert said == f"A-v0, a2c: 2 lines of 1 to 2 runs: written to {out}, {out.stat().st_size:,} bytes\n"
    text = out.read_text(encoding="utf-8")
    assert "data:image/gif;base64,R0lGODlh" in text
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert out.stat().st_size < 100_000


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--film", "film.avi"], "a film ends in .mp4 or .gif, got film.avi"),
        (["--serve", "70000"], "--serve must be at most 65,535"),
        (["--serve", "0", "--out", "a.html"], "--serve writes no file: leave --out out"),
        (["--out", "."], "--out takes the path of a file, got '.'"),
        (["--out", "config.yaml"], "--out must end in .html, got config.yaml"),
    ],
)
def test_mistakes_are_one_line(runs: Path, argv: list[str], words: str, command: Command) -> None:
    status, _, err = command(rl.report, runs, *argv)
    assert (status, err.count("\n")) == (2, 1)
    assert words in err


@pytest.fixture
def port(runs: Path) -> Iterator[int]:
    with server(lambda: content(lines_of([runs])), 0) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving.server_port
        serving.shutdown()
        thread.join()


@pytest.mark.parametrize(("number", "status", "said"), [(SIGINT, 0, ""), (SIGTERM, 143, "terminated\n")])
def test_a_served_report_ends_with_the_status_of_the_signal(
    runs: Path, number: int, status: int, said: str, start: Start
) -> None:
    """Ctrl-C is the usual end."""
    process = start("rl.report", runs, "--serve", 0)
    process.wait_for("until Ctrl-C")
    process.send_signal(number)
    assert (process.communicate()[1], process.returncode) == (said, status)


def test_a_page_that_is_closed_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    """A reset of the connection, in the middle of an answer that no buffer holds."""
    with server(lambda: {"title": "x" * 20_000_000}, 0) as serving:
        with socket.create_connection(serving.server_address) as browser:
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            browser.sendall(f"GET /data HTTP/1.1\r\nHost: 127.0.0.1:{serving.server_port}\r\n\r\n".encode())
            request, address = serving.get_request()
            answering = threading.Thread(target=serving.process_request_thread, args=(request, address))
            answering.start()
            browser.recv(1)
        answering.join()
    assert capfd.readouterr().err == ""


def test_only_this_machine_reads_a_served_report(port: int, runs: Path) -> None:
    def ask(path: str, host: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    status, text = ask("/data", f"127.0.0.1:{port}")
    assert (status, json.loads(text)["title"]) == (200, "A-v0")
    assert ask("/data", "elsewhere.example") == (403, "only this machine may read the report")
    assert ask("/config.yaml", f"localhost:{port}")[0] == 404
    (runs / "1" / "metrics.csv").write_text("step,x\n1\n", encoding="utf-8")
    status, text = ask("/data", f"localhost:{port}")
    assert status == 503
    assert "is damaged: line 2" in text


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    opened = Browser(tmp_path / "browser")
    yield opened
    opened.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_page_in_a_browser(browser: Browser, runs: Path, tmp_path: Path, port: int) -> None:
    """Curves are drawn, hovering shows values, dragging zooms, both themes and a phone work; no external requests."""
    file = tmp_path / "report.html"
    file.write_text(html(content(lines_of([runs]))), encoding="utf-8")
    papers = []
    for dark, width in ((False, 1280), (True, 390)):
        browser.show(file.as_uri(), width, dark=dark, phone=width == 390)
        assert browser.value("document.querySelectorAll('path.curve').length") == 2
        assert browser.value("document.querySelectorAll('path.band').length") == 1
        assert browser.value("document.documentElement.scrollWidth") == width
        papers.append(browser.value("getComputedStyle(document.body).backgroundColor"))
        browser.value("box = document.querySelector('.panel svg').getBoundingClientRect(), null")
        left, top, across, down = browser.value("[box.x, box.y, box.width, box.height]")  # type: ignore[misc]
        right, middle = left + across - 8, top + down / 2
        browser.mouse("mouseMoved", right, middle)
        read = str(browser.value("document.querySelector('.reading').textContent"))
        assert re.match(r"step 300149\.7\d* \[", read), read
        assert read.endswith("]300")
        browser.mouse("mousePressed", left + 60, middle, button="left", buttons=1, clickCount=1)
        browser.mouse("mouseMoved", left + across / 2, middle, button="left", buttons=1)
        browser.mouse("mouseReleased", left + across / 2, middle, button="left", clickCount=1)
        plot = across - 60  # pixels, for 200 steps from 100 on
        expected = [100 + 200 * (60 - 52) / plot, 100 + 200 * (across / 2 - 52) / plot]
        assert browser.value("range") == pytest.approx(expected, abs=0.1)
        browser.value("document.getElementById('all').click()")
        assert browser.value("range") is None
        browser.value("document.getElementById('theme').click()")
        papers.append(browser.value("getComputedStyle(document.body).backgroundColor"))
    assert papers == ["rgb(255, 255, 255)", "rgb(20, 22, 26)", "rgb(20, 22, 26)", "rgb(255, 255, 255)"]
    assert browser.value("document.title") == "A-v0"  # a setting that looks like a script is text
    assert browser.requests == [file.as_uri()] * 2
    browser.show(f"http://127.0.0.1:{port}/")
    with (runs / "3" / "metrics.csv").open("a", encoding="utf-8") as table:
        table.write("400,400,0.01,0.5\n")
    browser.value("refresh()")
    assert "step 400 of 100,000" in str(browser.value("document.getElementById('state').textContent"))
    assert browser.problems == []
