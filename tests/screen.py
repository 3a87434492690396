"""A stage of panels on a page of the browser: what a person can see there, point at, press."""

from playwright.sync_api import expect


class Screen:
    """A stage on a page, and what a person can see and do there."""

    def __init__(self, page, which: int = 0):
        self.page = page
        self.root = page.locator(".unispeech-stage").nth(which)
        self.root.wait_for(timeout=60_000)
        self.root.scroll_into_view_if_needed()
        self.page.wait_for_function("root => root.querySelector('.us-panel > canvas')?.width > 300", arg=self.handle)

    @property
    def handle(self):
        return self.root.element_handle()

    def panel(self, name: str):
        return self.root.locator(f"canvas[data-panel={name}]")

    def captioned(self, name: str, words: str) -> None:
        """Wait until the words under a panel hold these."""
        expect(self.root.locator(f"figure:has(canvas[data-panel={name}]) figcaption")).to_contain_text(words)

    def caption(self, name: str) -> str:
        return self.root.locator(f"figure:has(canvas[data-panel={name}]) figcaption").inner_text()

    def noted(self, words: str) -> None:
        """Wait until the line over the panels holds these."""
        expect(self.root.locator(".us-note")).to_contain_text(words)

    def pixels(self, name: str) -> str:
        return self.panel(name).evaluate("canvas => canvas.toDataURL()")

    def changes(self, name: str, before: str) -> None:
        """Wait until a panel's pixels are others than before."""
        self.page.wait_for_function(
            "([canvas, before]) => canvas.toDataURL() !== before", arg=[self.panel(name).element_handle(), before]
        )

    def settles(self, script: str) -> None:
        self.page.wait_for_function(script, arg=self.handle, timeout=20_000)

    @property
    def time(self) -> float:
        return float(self.root.get_attribute("data-time"))

    def at(self, name: str, seconds: float, height: float) -> dict:
        """The point over a panel at a moment, ``height`` of the way up the plot."""
        left, top, width, tall = map(float, self.panel(name).get_attribute("data-plot").split(","))
        total = self.root.evaluate("root => root.sound.seconds")
        return {"x": left + seconds / total * width, "y": top + (1 - height) * tall}

    def click(self, name: str, seconds: float, height: float = 0.5, **how) -> None:
        self.panel(name).click(position=self.at(name, seconds, height), force=True, **how)

    def heard(self) -> list:
        """Every [when, offset, duration] with which a sound was started on this page."""
        return self.page.evaluate("window.heard")

    def listen(self) -> None:
        self.page.evaluate(
            """() => {
                window.heard = [];
                const start = AudioBufferSourceNode.prototype.start;
                AudioBufferSourceNode.prototype.start = function (...when) {
                    window.heard.push(when.map((x) => x ?? null));
                    return start.apply(this, when);
                };
            }"""
        )
