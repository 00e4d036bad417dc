"""The page in a real browser: quiet, sortable, readable in both modes and without script."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")

CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (element) => {
    const mark = element.closest("g.hint");
    const cell = mark && mark.querySelector("rect.cell, rect.plate");
    if (cell && element.tagName === "text") return rgb(getComputedStyle(cell).fill);
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || element.closest("script, title, style")) continue;
    if (!element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const [a, b] = [rgb(element.tagName === "text" ? style.fill : style.color), behind(element)]
      .map((c) => light(c.slice(0, 3))).sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push([element.tagName, element.textContent.slice(0, 30), ratio]);
  }
  return low;
}"""
OVERLAPS = """() => {
  const found = [];
  for (const svg of document.querySelectorAll("svg.chart")) {
    const whole = svg.getBoundingClientRect();
    if (!whole.width) continue;
    const texts = [...svg.querySelectorAll("text")].map((t) => [t, t.getBoundingClientRect()]);
    texts.forEach(([t, box], i) => {
      if (box.left < whole.left - 1 || box.right > whole.right + 1 || box.top < whole.top - 1 ||
          box.bottom > whole.bottom + 1) found.push(["outside", t.textContent]);
      for (const [u, other] of texts.slice(i + 1)) {
        const x = Math.min(box.right, other.right) - Math.max(box.left, other.left);
        const y = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
        if (x > 1 && y > 3) found.push([svg.ariaLabel, t.textContent, u.textContent]);
      }
    });
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(pages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    found = {name: folder / f"{name}.html" for name in pages}
    for name, file in found.items():
        file.write_text(pages[name], encoding="utf-8")
    return found


@pytest.fixture
def visit(browser, files):
    """Open a page; at the end there was no message, dialog, error or request but for the file."""
    contexts, said = [], []

    def visit(name, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        own = files[name].as_uri()

        def route(route):
            if route.request.url.split("#")[0] != own:
                said.append(route.request.url)
                route.abort()
            else:
                route.continue_()

        page.route("**/*", route)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(own)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not said


def unfold(page):
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_modes(visit, scheme):
    for name in ("run", "sweep"):
        page = visit(name, color_scheme=scheme)
        unfold(page)
        assert page.evaluate(CONTRAST) == []
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]


@pytest.mark.parametrize("name", ["run", "hostile", "replications", "sweep"])
def test_charts_have_no_text_over_text_nor_outside(visit, name):
    page = visit(name)
    unfold(page)
    assert page.evaluate(OVERLAPS) == []


def test_a_narrow_screen_scrolls_tables_and_not_the_page(visit):
    for name in ("run", "sweep"):
        page = visit(name, width=390)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_picture_is_not_blank(visit):
    page = visit("run")
    box = page.locator("svg.chart").first
    box.scroll_into_view_if_needed()
    from io import BytesIO

    from matplotlib.image import imread

    pixels = imread(BytesIO(box.screenshot()), format="png")[..., :3]
    inked = (pixels < 0.9).any(axis=2)
    assert 0.01 < inked.mean() < 0.5
    strength = pixels.max(axis=2) - pixels.min(axis=2)
    assert (strength > 0.3).mean() > 0.001  # the coloured lines


def test_tables_sort_by_value(visit):
    page = visit("sweep")
    table = page.locator("table", has=page.get_by_text("Every cell"))
    head = table.locator("thead th", has_text="topology.links.0.rate")
    index = head.evaluate("(th) => th.cellIndex")
    read = f"(t) => [...t.tBodies[0].rows].map((r) => r.cells[{index}].textContent)"
    wanted = ["500 kbit/s", "2 Mbit/s", "5 Mbit/s", "10 Mbit/s", "20 Mbit/s"]
    button = head.get_by_role("button", name="topology.links.0.rate")
    button.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert list(dict.fromkeys(table.evaluate(read))) == wanted
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert list(dict.fromkeys(table.evaluate(read))) == wanted[::-1]
    latency = table.locator("thead th", has_text="p95 latency")
    latency.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    column = latency.evaluate("(th) => th.cellIndex")
    shown = table.evaluate(
        f"(t) => [...t.tBodies[0].rows].map((r) => r.cells[{column}].textContent)"
    )
    numbers = [float(text) for text in shown if text not in ("unstable", "-")]
    assert numbers == sorted(numbers) and shown[-1] == "unstable"


def test_the_keyboard_reaches_everything_in_order(visit):
    page = visit("run")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    order = []
    for _ in range(40):
        place = "[...document.querySelectorAll('*')].indexOf(document.activeElement)"
        order.append(page.evaluate(place))
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) != "none"
        page.keyboard.press("Tab")
    assert order == sorted(order) and len(set(order)) == 40
    names = page.eval_on_selector_all("button, a, summary", "(e) => e.map((x) => x.textContent)")
    assert len(names) > 60 and all(name.strip() for name in names)
    page.locator("a.skip").press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_value_is_shown_when_pointed_at(visit):
    page = visit("run")
    mark = page.locator("svg.chart g.hint").first
    says = mark.locator("title").text_content()
    mark.hover()
    tip = page.locator(".tip")
    assert tip.inner_text() == says and says.startswith("ecc_snn, phase 0: ")
    page.keyboard.press("Escape")
    assert tip.is_hidden() and mark.locator("title").text_content() == says


def test_everything_can_be_read_without_script(visit):
    with_script, without = visit("run"), visit("run", java_script_enabled=False)
    unfold(with_script)
    assert without.locator("th button").count() == 0
    words = without.locator("main").text_content()
    assert words.split() == with_script.locator("main").text_content().split()
    summary = without.locator("summary", has_text="Phase 3")
    summary.click()
    assert without.locator("caption", has_text="Phase 3").is_visible()


def test_print_has_no_contents_and_all_pages(visit):
    page = visit("run", java_script_enabled=False, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("nav").is_hidden()
    assert page.locator("caption", has_text="Phase 3").is_visible()
    assert page.pdf().startswith(b"%PDF")
