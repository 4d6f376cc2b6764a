"""What stands beside the picture: series, profiles and their costs, and what to take away."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Route, expect

from tests.clients.programs import program
from tests.pages.conftest import Look, Watched
from tests.pages.stores import STEPS, air

# Of the words left of the picture.
_BRIGHTEST = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 20, 44, canvas.height - 60);
    let most = 0;
    for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 255) most = Math.max(most, data[at]);
    }
    return most;
}"""
VIEW = "time=2024-01-01T06:00Z&level=850&_box=-31,19,41,61"


def row(tab: Watched) -> Locator:
    """What is said of a series that is read."""
    return tab.page.locator(".series .cost")


def shown(tab: Watched) -> list[float]:
    """The values of the table of series, row by row."""
    table = tab.page.locator(".series details")
    if table.get_attribute("open") is None:
        table.locator("summary").click()
    texts = tab.page.locator(".series td").all_inner_texts()
    return [float(text.replace("−", "-") or "nan") for text in texts]


def reads(tab: Watched) -> int:
    """How often data were asked for."""
    return len([one for one in tab.asked if "/datasets/" in one])


def test_up_to_four_places_have_a_line(address: str, look: Look) -> None:
    """Each click one more, the fifth in place of the fourth; each can be removed."""
    tab = look()
    tab.open(f"{address}/explore/air")
    for at in range(5):
        tab.click(-100 + 40 * at, 20)
        tab.page.wait_for_url(f"**{-100 + 40 * at},20*")
        tab.wait()
    cells = tab.page.locator(".legend .cell")
    expect(cells).to_have_text(["20°N, 100°W", "20°N, 60°W", "20°N, 20°W", "20°N, 60°E"])
    tab.shot("four-places")
    tab.page.get_by_label("Remove 20°N, 100°W").click()
    expect(cells).to_have_count(3)
    assert "_at=-100" not in tab.page.url


def test_a_place_has_a_profile(address: str, look: Look) -> None:
    """The values along levels, which grow downward; a click there moves the level."""
    tab = look()
    tab.open(f"{address}/explore/air?time=2024-01-01T06:00Z&_at=20,40")
    tab.page.get_by_role("button", name="Profile along level").click()
    tab.wait()
    asked = httpx.get(
        f"{address}/datasets/air/sel?variables=t&time=2024-01-01T06:00Z&lat=40&lon=20", timeout=60
    )
    wanted = asked.json()["data_vars"]["t"]["data"]
    assert shown(tab) == pytest.approx(wanted, rel=1e-5)
    place = tab.page.locator(".chart .u-over").bounding_box()
    assert place is not None
    tab.page.mouse.click(place["x"] + 30, place["y"] + place["height"] * 0.97)
    tab.page.wait_for_url("**level=1000**")
    tab.page.mouse.click(place["x"] + 30, place["y"] + place["height"] * 0.03)
    tab.page.wait_for_url("**level=300**")
    assert "_tab=profile" in tab.page.url
    tab.shot("profile")


def slowly(route: Route) -> None:
    """Each answer a little later, so that there is something to cancel."""
    time.sleep(0.15)
    route.continue_()


def test_what_reads_much_is_said_first_and_comes_in_pieces(address: str, look: Look) -> None:
    """No refusal reaches anybody; Cancel stops all requests, what has come stays, and goes on."""
    tab = look()
    tab.open(f"{address}/explore/maps?time=2024-01-02T12:00Z")
    tab.page.route("**/isel?**", slowly)
    tab.click(20, 10)
    expect(row(tab)).to_contain_text("70 chunks, 291 MB")
    tab.shot("cost")
    assert not any("time=32:40" in one for one in tab.asked)
    row(tab).get_by_role("button", name="In pieces").click()
    expect(row(tab)).to_contain_text("of 70 steps")
    expect(row(tab)).to_have_text(re.compile(r"^(1[4-9]|[2-5]\d) of 70 steps"))
    row(tab).get_by_role("button", name="Cancel").click()
    expect(row(tab)).to_contain_text("steps were read")
    asked = len(tab.asked)
    values = np.array(shown(tab))
    known = np.flatnonzero(~np.isnan(values))
    assert 0 < known.size < STEPS
    assert known.min() <= 36 <= known.max()
    assert values[known].tolist() == known.tolist()
    tab.page.wait_for_timeout(500)
    assert len(tab.asked) == asked
    row(tab).get_by_role("button", name="In pieces").click()
    expect(row(tab)).to_be_empty()
    assert shown(tab) == list(range(STEPS))
    assert max(one.status for one in tab.answers) < 400


def test_the_nearest_steps_alone(address: str, look: Look) -> None:
    """64 of them around the current one."""
    tab = look()
    tab.open(f"{address}/explore/maps?time=2024-01-02T12:00Z&_at=20,10")
    row(tab).get_by_role("button", name="The nearest 64 steps").click()
    expect(row(tab)).to_contain_text("64 of 64 steps")
    known = np.flatnonzero(~np.isnan(shown(tab)))
    assert (known.min(), known.max()) == (4, 67)


def test_units_and_zones_change_words_alone(address: str, look: Look) -> None:
    """Readout, ends and table in Celsius, marked; nothing is asked for anew."""
    tab = look()
    tab.open(f"{address}/explore/air?level=850&_at=20,40&_range=273.15,283.15")
    pixels, kelvins, asked = tab.pixels(), shown(tab), reads(tab)
    tab.page.get_by_label("Units").select_option("degC")
    tab.page.wait_for_url("**_units=degC**")
    tab.wait()
    assert shown(tab) == pytest.approx(np.array(kelvins) - 273.15, abs=2e-3)
    assert tab.page.get_by_label("Highest colour at").input_value() == "10"
    tab.click(20, 40)
    expect(tab.page.locator(".readout")).to_contain_text("degC (from K)")
    tab.page.get_by_label("Time zone").select_option("America/New_York")
    tab.page.wait_for_url("**_tz=America/New_York**")
    tab.wait()
    expect(tab.page.get_by_label("time, as a label")).to_have_value("2023-12-31 19:00 EST")
    assert np.array_equal(tab.pixels(), pixels)
    assert "time=" not in tab.page.url
    assert reads(tab) == asked
    for words, value in (("Lowest", "-10"), ("Highest", "0")):
        tab.page.get_by_label(f"{words} colour at").fill(value)
        tab.page.get_by_label(f"{words} colour at").blur()
    tab.page.wait_for_url("**_range=263.15,273.15**")


def test_an_address_with_other_units_is_a_notice(address: str, look: Look) -> None:
    """Kelvins are no knots; knots of metres a second are."""
    tab = look()
    tab.open(f"{address}/explore/air?_var=t&_units=kn")
    expect(tab.page.locator(".notices p")).to_contain_text("_units=kn")
    tab.open(f"{address}/explore/air?_var=w&_units=kn")
    expect(tab.page.locator(".ends .units")).to_have_text("kn (from m s-1)")


def test_a_label_between_two_has_both_as_buttons(address: str, look: Look) -> None:
    """In the field and in the address."""
    tab = look()
    tab.open(f"{address}/explore/air?time=2024-01-01T07:00Z")
    button = tab.page.locator(".notices").get_by_role("button", name="2024-01-01T06:00:00Z")
    # The browser tells of the label that the server does not have.
    tab.complaints.clear()
    button.click()
    tab.page.wait_for_url("**time=2024-01-01T06:00Z**")
    expect(tab.page.locator(".notices p")).to_have_count(0)


@pytest.mark.parametrize("what", ["0", "1"])
def test_sizes_are_said_before_the_click(address: str, look: Look, what: str) -> None:
    """Within a tenth of what comes, for every format, of the picture and of a series."""
    tab = look()
    tab.open(f"{address}/explore/air?{VIEW}&_at=20,40&_var=w")
    tab.page.locator(".get select").first.select_option(what)
    files = tab.page.locator(".files a")
    expect(files).to_have_count(4 if what == "0" else 3)
    for at in range(3):
        said = float(files.nth(at).get_attribute("data-bytes") or "nan")
        with tab.page.expect_download() as coming:
            files.nth(at).click()
        size = coming.value.path().stat().st_size
        assert size == pytest.approx(said, rel=0.1), files.nth(at).inner_text()


def test_what_is_too_large_says_why(address: str, look: Look) -> None:
    """As a button that does nothing, with the reason below."""
    tab = look()
    tab.open(f"{address}/explore/maps?_at=20,10")
    tab.page.locator(".get select").first.select_option("1")
    expect(tab.page.locator(".files button[disabled]").first).to_contain_text("too large")
    expect(tab.page.locator(".get .hint")).not_to_be_empty()


def code(tab: Watched, language: str) -> str:
    """The lines of one language."""
    tab.page.locator(".get select").nth(1).select_option(language)
    return tab.page.locator(".get pre").inner_text()


def run(*command: str, folder: Path, text: str | None = None) -> str:
    """What a program prints."""
    done = subprocess.run(
        command, cwd=folder, input=text, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_a_format_cannot_hold_says_so(address: str, look: Look, tmp_path: Path) -> None:
    """Complex numbers are not too large for NetCDF; lines of code get them in another format."""
    tab = look()
    tab.open(f"{address}/explore/complex")
    expect(tab.page.locator(".files button[disabled]")).to_have_text("NetCDFnot possible")
    expect(tab.page.locator(".get .hint")).to_contain_text("complex numbers")
    text = tab.page.locator(".get pre").inner_text() + "\nprint(values[[0, 2]].tolist())"
    assert run(sys.executable, "-c", text, folder=tmp_path) == "[(1+2j), (3+0j)]\n"
    offered = tab.page.locator(".get select").nth(1).locator("option").all_inner_texts()
    assert "MATLAB, Octave" not in offered


@pytest.fixture(scope="module")
def wanted() -> NDArray[np.float32]:
    """What xarray has of the view."""
    there = air().assign_coords(lon=lambda one: (one.lon + 180) % 360 - 180).sortby("lon")
    view = there.t.sel(time="2024-01-01T06:00", level=850, lat=slice(61, 19), lon=slice(-31, 41))
    values: NDArray[np.float32] = view.values
    return values


def test_lines_of_code_equal_the_view(
    address: str, look: Look, tmp_path: Path, wanted: NDArray[np.float32]
) -> None:
    """Those of Python, of the command line and of JavaScript, executed."""
    tab = look()
    tab.open(f"{address}/explore/air?{VIEW}")
    ending = "\nimport json; print(json.dumps({}))"
    text = code(tab, "Python, xarray") + ending.format("values.tolist()")
    values = json.loads(run(sys.executable, "-c", text, folder=tmp_path))
    assert np.array_equal(np.array(values, "f4"), wanted)
    text = code(tab, "Python, pandas") + ending.format("[table.t.tolist(), str(table.time.dtype)]")
    column, kind = json.loads(run(sys.executable, "-c", text, folder=tmp_path))
    assert np.array_equal(np.array(column, "f4"), wanted.ravel())
    assert kind.startswith("datetime64")
    run("bash", "-c", f"{program('curl')} --version && {code(tab, 'curl')}", folder=tmp_path)
    lines = (tmp_path / "air.csv").read_text().splitlines()[1:]
    assert np.array_equal(np.array([line.split(",")[-1] for line in lines], "f4"), wanted.ravel())
    text = code(tab, "JavaScript") + "\nconsole.log(JSON.stringify(values));"
    printed = run(program("node"), "--input-type=module", "-", folder=tmp_path, text=text)
    assert np.array_equal(np.array(json.loads(printed), "f4"), wanted)


def test_octave_has_the_view(
    address: str, look: Look, tmp_path: Path, wanted: NDArray[np.float32]
) -> None:
    """By functions that MATLAB has too; their arrays begin with the last dimension."""
    tab = look()
    tab.open(f"{address}/explore/air?{VIEW}")
    text = f"pkg load netcdf\n{code(tab, 'MATLAB, Octave')}\nprintf('%.9g ', size(values), values);"
    words = run(program("octave-cli"), "-qf", "--eval", text, folder=tmp_path).split()
    assert [int(one) for one in words[:2]] == [*wanted.T.shape]
    assert np.array_equal(np.array(words[2:], "f4"), wanted.ravel())


def test_r_keeps_the_hours(address: str, look: Look, tmp_path: Path) -> None:
    """Of a series, whose times begin at midnight."""
    tab = look()
    tab.open(f"{address}/explore/air?level=850&_at=20,40")
    tab.page.locator(".get select").first.select_option("1")
    text = code(tab, "R") + '\ncat(format(table$time, "%Y-%m-%dT%H"), table$t)'
    words = run(program("Rscript"), "-", folder=tmp_path, text=text).split()
    series = air().t.sel(level=850, lat=40, lon=20)
    assert words[:12] == [str(one)[:13] for one in series.time.values]
    assert np.array(words[12:], "f4") == pytest.approx(series.values, rel=1e-5)


def test_logarithmic_colours_are_in_no_picture_of_the_server(address: str, look: Look) -> None:
    """Whose colours are even: there is the picture of the page instead."""
    tab = look()
    tab.open(f"{address}/explore/air?{VIEW}&_scale=log")
    files = tab.page.get_by_role("group", name="Files")
    expect(files.get_by_role("link", name="CSV")).to_be_visible()
    expect(files.get_by_role("link", name="PNG")).to_be_hidden()
    image = tab.page.get_by_role("button", name="Copy image link")
    expect(image).to_be_hidden()
    tab.page.get_by_label("Scale").select_option("linear")
    expect(files.get_by_role("link", name="PNG")).to_be_visible()
    expect(image).to_be_visible()


def asked_of(tab: Watched) -> list[bool]:
    """Of each request for values of the picture, whether it asked for the cost alone."""
    return ["explain=true" in one for one in tab.asked if "/isel?" in one and "f=bin" in one]


def test_a_picture_that_reads_much_comes_in_pieces(address: str, look: Look) -> None:
    """Along time and latitude each step is a chunk; of all of them one request has too many.

    The server says first what they cost; some steps are shown, and all of them come in pieces from
    the step that was looked at: what came before Cancel stays.
    """
    tab = look()
    tab.open(f"{address}/explore/maps?_x=lat&_y=time&_range=0,70&time=2024-01-02T12:00Z")
    expect(tab.page.locator(".under .told")).to_have_text("every 5th cell")
    cost = tab.page.locator(".field .cost")
    expect(cost).to_contain_text("All of it reads 70 chunks, 291 MB.")
    assert asked_of(tab) == [True, False]
    assert (tab.pixels()[:, :, 3] == 255).all()
    tab.shot("picture-cost")
    tab.page.route("**/isel?**", slowly)
    cost.get_by_role("button", name="In pieces").click()
    expect(cost).to_have_text(re.compile(r"^[2-5] of 9 pieces, "))
    cost.get_by_role("button", name="Cancel").click()
    expect(cost).to_contain_text("of 9 pieces were read.")
    assert (tab.pixels()[:, :, 3] == 255).all()
    overlay = tab.page.locator("canvas.overlay").bounding_box()
    assert overlay is not None
    across = overlay["x"] + overlay["width"] / 2
    readout = tab.page.locator(".readout")
    tab.page.mouse.move(across, overlay["y"] + 40)
    expect(readout).to_contain_text("not read at 2024-01-")
    tab.page.mouse.move(across, overlay["y"] + overlay["height"] / 2)
    expect(readout).to_contain_text(re.compile(r"^3\d K at 2024-01-02 "))
    cost.get_by_role("button", name="In pieces").click()
    expect(cost).to_be_empty()
    expect(tab.page.locator(".under .told")).to_be_empty()
    tab.page.mouse.move(across, overlay["y"] + 40)
    expect(readout).to_contain_text(re.compile(r"^6\d K at 2024-01-03 "))
    assert max(one.status for one in tab.answers) < 400


def test_a_chart_that_reads_much_comes_in_pieces(address: str, look: Look) -> None:
    """Every so many values at first, then all of them."""
    tab = look()
    tab.open(f"{address}/explore/maps?_x=time&_y=&lat=10&lon=20&time=2024-01-02T12:00Z")
    told, cost = tab.page.locator(".under .told"), tab.page.locator(".line .cost")
    expect(told).to_have_text("every 5th value")
    expect(cost).to_contain_text("All along time this reads 70 chunks, 291 MB.")
    cost.get_by_role("button", name="In pieces").click()
    expect(cost).to_be_empty()
    expect(told).to_be_empty()
    assert asked_of(tab)[0]
    assert max(one.status for one in tab.answers) < 400


def test_who_looks_at_a_part_of_what_is_much_gets_the_part(address: str, look: Look) -> None:
    """Every step of it."""
    tab = look()
    hours = [np.datetime64("2024-01-01T00") + hour for hour in (30, 36)]
    first, last = (one.astype("M8[ms]").astype(int) for one in hours)
    tab.open(f"{address}/explore/maps?_x=lat&_y=time&_range=0,70&_box=-90,{first},90,{last}")
    expect(tab.page.locator(".under .told")).to_be_empty()
    expect(tab.page.locator(".field .cost")).to_be_empty()


def test_of_what_is_one_large_chunk_nothing_is_read_unasked(address: str, look: Look) -> None:
    """What it costs is said; here it is more than one request may read."""
    tab = look()
    tab.open(f"{address}/explore/block")
    words = "All of it reads 1 chunk, 64 MB, more than one request may."
    expect(tab.page.locator(".field .cost")).to_have_text(words)
    expect(tab.page.locator(".figure")).to_be_hidden()
    assert asked_of(tab) == [True]
    tab.shot("block")


@pytest.mark.parametrize(("name", "asked"), [("curvilinear", [True, False]), ("air", [False])])
def test_what_is_not_known_to_be_little_is_asked_about_first(
    address: str, look: Look, name: str, asked: list[bool]
) -> None:
    """Such as coordinates of two dimensions, of which no chunks are described."""
    tab = look(fresh=True)
    tab.open(f"{address}/explore/{name}")
    assert asked_of(tab) == asked


def test_links_and_pictures(address: str, look: Look, tmp_path: Path) -> None:
    """Each is in the field, and as much of a picture as there is on the page in its file."""
    tab = look()
    tab.open(f"{address}/explore/air?{VIEW}&_cmap=magma&_reverse=true&_range=278,282")
    field = tab.page.get_by_label("Copied")
    tab.page.get_by_role("button", name="Copy link").click()
    expect(field).to_have_value(tab.page.url)
    tab.page.get_by_role("button", name="Copy image link").click()
    link = field.input_value()
    assert "cmap=magma_r&range=278,282" in link
    assert httpx.get(link, timeout=60).content.startswith(b"\x89PNG")
    tab.page.get_by_role("button", name="Copy embed code").click()
    assert field.input_value().startswith(f'<iframe src="{address}/embed/air?time=2024')
    with tab.page.expect_download() as coming:
        tab.page.get_by_role("button", name="Save picture").click()
    saved = tmp_path / "air.png"
    coming.value.save_as(saved)
    header = saved.read_bytes()[16:24]
    assert int.from_bytes(header[:4], "big") > 1000
    assert int.from_bytes(header[4:], "big") > 600


def test_on_paper_it_is_white_with_a_caption(address: str, look: Look) -> None:
    """And has its address; nothing to click on is left; what is drawn is dark on white too."""
    tab = look(color_scheme="dark")
    tab.open(f"{address}/explore/air?{VIEW}")
    marks = "canvas.overlay"
    assert tab.page.eval_on_selector(marks, _BRIGHTEST) > 120
    tab.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.page.eval_on_selector(marks, _BRIGHTEST) < 120
    tab.page.emulate_media(media="print")
    paper = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    expect(tab.page.locator(".printed")).to_contain_text("air, Temperature, 2024-01-01 06:00 UTC")
    expect(tab.page.locator(".printed")).to_contain_text(tab.page.url)
    assert tab.page.locator("button:visible, select:visible").count() == 0
    tab.shot("print")
