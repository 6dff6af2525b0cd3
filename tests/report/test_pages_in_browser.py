"""Pages and viewers in real Chromium, from file://: no complaint, right places, right sides."""

from __future__ import annotations

import numpy as np
import pytest

from neurodnn.report import write_index, write_subject_report

pytestmark = pytest.mark.browser

VIEWER = "sub-01/figures/sub-01_task-scenes_viewer.html"
READY = "document.documentElement.dataset.ready"
RIGHT, DOWN, PAGE_UP = "\ue014", "\ue015", "\ue00e"


def readout(browser):
    return browser.run("return document.getElementById('readout').textContent")


def colourful(browser, axis):
    """Middle, in mm, of the strongly coloured pixels of one view, as (across, upwards)."""
    script = """
      const data = JSON.parse(document.getElementById('data').textContent);
      const canvas = document.getElementById('view-' + arguments[0]);
      const plane = {x: [1, 2], y: [0, 2], z: [0, 1]}[arguments[0]];
      const context = canvas.getContext('2d');
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
      let n = 0, across = 0, up = 0;
      for (let at = 0; at < pixels.length; at += 4) {
        const [r, g, b] = [pixels[at], pixels[at + 1], pixels[at + 2]];
        if (Math.max(r, g, b) - Math.min(r, g, b) < 120) continue;
        n += 1;
        across += (at / 4) % canvas.width;
        up += Math.floor(at / 4 / canvas.width);
      }
      return [data.low[plane[0]] + (across / n + 0.5) / 2,
              data.high[plane[1]] - (up / n + 0.5) / 2];"""
    return browser.run(script, axis)


@pytest.mark.parametrize("name", ["index.html", "sub-01.html", VIEWER, "group/viewer.html"])
def test_pages_open_without_a_complaint(browser, finished_tree, name):
    browser.open(finished_tree / name)
    if "viewer" in name:
        browser.wait(READY)
    assert browser.complaints() == []
    assert browser.run("return performance.getEntriesByType('resource').filter("
                       "entry => !entry.name.startsWith('data:')).length") == 0  # fmt: skip
    pictures = "return [...document.images].map(image => image.naturalWidth)"
    assert all(width > 200 for width in browser.run(pictures))
    # the style was accepted: our page has its own width, and nothing overflows it
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.run(wide) == 0
    assert browser.run("return getComputedStyle(document.body).margin") == "0px"


def test_the_page_links_to_a_viewer_that_opens(browser, finished_tree):
    browser.open(finished_tree / "sub-01.html")
    browser.run("document.querySelector('a.button').click()")
    browser.wait(f"location.pathname.endsWith('viewer.html') && {READY}")
    assert browser.complaints() == []


@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("x", [36.0, -36.0])
def test_the_viewer_draws_an_effect_at_its_place(browser, tmp_path, parts, flip, x):
    affine = parts.AFFINE.copy()
    if flip < 0:
        affine[0, 0], affine[0, 3] = -6.0, 72.0
    data = parts.blob((x, -66.0, -12.0), affine=affine, noise=0)
    path = parts.save_map(tmp_path, "a.nii.gz", data, affine)
    parts.write_subject(
        tmp_path, "01", ("conv1",), Maps=[{"Reference": "conv1", "Path": path}]
    )
    write_subject_report(tmp_path, "01")
    browser.open(tmp_path / VIEWER)
    browser.wait(READY)
    # the maximum is where it was planted, with its value and its side in words
    side = "right" if x > 0 else "left"
    value = float(np.nanmax(data))
    expected = f"conv1: Spearman rho {value:.3f} at x {x:.0f}, y -66, z -12 mm ({side})"
    assert readout(browser) == expected.replace("-", "−")
    for axis, place in (("x", (-66, -12)), ("y", (x, -12)), ("z", (x, -66))):
        assert np.abs(np.subtract(colourful(browser, axis), place)).max() < 1.5, axis


def test_the_viewer_obeys_the_keyboard(browser, finished_tree):
    browser.open(finished_tree / VIEWER)
    browser.wait(READY)
    where = "return ['x', 'y', 'z'].map(id => Number(document.getElementById(id).value))"
    start = browser.run(where)
    browser.run("document.getElementById('view-z').focus()")
    browser.keys(RIGHT, RIGHT, DOWN, PAGE_UP)
    browser.wait(f"document.getElementById('z').value == {start[2] + 1}")
    assert browser.run(where) == [start[0] + 2, start[1] - 1, start[2] + 1]
    browser.keys("n")
    browser.wait("document.getElementById('readout').textContent.startsWith('conv3')")
    assert browser.complaints() == []


def test_values_in_the_viewer_are_those_of_the_map(browser, finished_tree, parts):
    import nibabel

    browser.open(finished_tree / VIEWER)
    browser.wait(READY)
    image = nibabel.load(next(finished_tree.glob("sub-01/func/*layer-conv1_stat-rho_*.nii.gz")))
    data = image.get_fdata()
    rng = np.random.default_rng(0)
    for index in rng.permutation(np.argwhere(np.isfinite(data)))[:5]:
        place = nibabel.affines.apply_affine(image.affine, index)
        for axis, value in zip("xyz", place, strict=True):
            browser.run(
                "const box = document.getElementById(arguments[0]); box.value = arguments[1];"
                "box.dispatchEvent(new Event('input'))", axis, float(value),
            )  # fmt: skip
        expected = f"rho {data[tuple(index)]:.3f} at x {place[0]:.0f},".replace("-", "−")
        browser.wait(f"document.getElementById('readout').textContent.includes('{expected}')")


def test_the_threshold_hides_what_lies_below(browser, finished_tree):
    browser.open(finished_tree / VIEWER)
    browser.wait(READY)
    count = """
      const canvas = document.getElementById('view-z');
      const context = canvas.getContext('2d');
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
      let n = 0;
      for (let at = 0; at < pixels.length; at += 4) {
        n += Math.abs(pixels[at] - pixels[at + 2]) > 12;
      }
      return n;"""
    before = browser.run(count)
    browser.run(
        "const slider = document.getElementById('threshold'); slider.value = 700;"
        "slider.dispatchEvent(new Event('input'))"
    )
    browser.wait("document.getElementById('threshold-text').textContent.startsWith('≥')")
    after = browser.run(count)
    assert 0 < after < before / 3


def test_hostile_names_run_nothing(browser, tmp_path, parts):
    payload = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
    parts.write_subject(
        tmp_path, "01", (payload,), Task=payload, Warnings=[payload], Methods=payload
    )
    write_subject_report(tmp_path, "01")
    write_index(tmp_path)
    for path in sorted(tmp_path.rglob("*.html")):
        browser.open(path)
        if path.name.endswith("viewer.html"):
            browser.wait(READY)
            browser.run("document.getElementById('map').dispatchEvent(new Event('change'))")
            assert payload in readout(browser)
            assert browser.run("return document.scripts.length") == 2
        assert browser.run("return window.pwned === undefined"), path.name
        assert browser.complaints() == [], path.name
