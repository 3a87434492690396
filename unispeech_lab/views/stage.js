// Stage: panels under one another on one time axis; one playhead crosses them all.

const TRACK = 62; // pixels of height for a panel of weight 1

class Stage {
  constructor(model, el) {
    this.model = model;
    this.panels = [];
    this.view = [0, 1]; // seconds that are seen
    this.loop = false;
    this.hover = null; // {panel, time, height, x, y} under the pointer
    this.undo = []; // what to take back when the stage goes
    this.player = new Player(() => this.rested());
    this.root = make("div", "unispeech-stage", el);
    // Opening the sound device takes a quarter of a second: begin when the reader comes near.
    this.root.onpointerenter = this.root.onfocusin = () => this.player.decoded;
    this.root.sound = this.player; // for whoever links another widget to this sound
    this.build();
    this.hands = new Hands(this);
    this.listen();
    this.load();
    for (let slot = 0; slot < model.get("count"); slot++) this.open(slot);
    this.arrange();
  }

  build() {
    const bar = make("div", "us-bar", this.root);
    this.playButton = make("button", "us-play", bar, { type: "button", onclick: () => this.toggle() });
    this.loopButton = make("button", "us-loop", bar, { type: "button", textContent: "⟳ loop", onclick: () => this.setLoop(!this.loop) });
    this.loopButton.title = "Play the chosen stretch again and again (L)";
    this.clock = make("output", "us-clock", bar);
    this.dials = new Dials(this.model, make("div", "us-knobs", bar));
    this.note = make("p", "us-note", this.root);
    this.stack = make("div", "us-stack", this.root, { tabIndex: 0 });
    this.stack.setAttribute("role", "group");
    this.stack.setAttribute("aria-label", "Panels on one time axis. Space plays, arrows move the playhead by a frame, Enter plays the phone under it.");
    this.axis = make("canvas", "us-axis", this.stack);
    this.axis.setAttribute("aria-hidden", "true");
    this.over = make("canvas", "us-over", this.stack);
    this.over.setAttribute("aria-hidden", "true");
    this.tip = make("div", "us-tip", this.stack, { hidden: true });
    this.live = make("div", "us-live", this.root);
    this.live.setAttribute("aria-live", "polite");
    const keys = make("p", "us-keys", this.root, {
      textContent: "click a phone: hear it (shift: again and again) · click: move the playhead · drag: choose a stretch · space: play · ← →: a frame, with shift ten · + − 0: zoom",
    });
    this.barKeys = make("span", "", keys, { textContent: " · click a bar, or n and p: hear what it stands for", hidden: true });
  }

  on(event, act) {
    this.model.on(event, act);
    this.undo.push(() => this.model.off(event, act));
  }

  listen() {
    for (let slot = 0; this.model.get(`panel_${slot}`) !== undefined; slot++)
      this.on(`change:panel_${slot}`, () => (this.open(slot), this.later()));
    this.on("change:count", () => this.arrange());
    this.on("change:sound", () => (this.load(), this.arrange()));
    this.on("change:dials", () => this.dials.build());
    this.on("change:knobs", () => this.dials.turned());
    this.on("change:note", () => this.showNote());
    const resize = new ResizeObserver(() => this.arrange());
    resize.observe(this.stack);
    // A theme's colours arrive a little after its name.
    const theme = new MutationObserver(() => [0, 300, 1200].forEach((ms) => setTimeout(() => this.later(), ms)));
    theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
    this.undo.push(() => resize.disconnect(), () => theme.disconnect());
  }

  // --- what is shown ---------------------------------------------------------------------------------------------

  get seconds() {
    return Math.max(this.model.get("seconds"), 1e-3);
  }

  load() {
    this.player.load(bytes(this.model.get("sound"), Int16Array), this.model.get("rate"));
    this.view = [0, this.seconds];
    this.stretch = null;
    this.rested();
  }

  maps() {
    this.colours ??= Object.fromEntries(Object.entries(this.model.get("maps")).map(([name, table]) => [name, bytes(table, Uint8Array)]));
    return this.colours;
  }

  open(slot) {
    const panel = this.model.get(`panel_${slot}`);
    if (!panel?.marks) return;
    const maps = this.maps();
    const shown = (this.panels[slot] ??= this.frame());
    const sameHeight = shown.data?.weight === panel.weight;
    shown.data = panel;
    shown.marks = panel.marks.map((mark) => MARKS[mark.kind].open(mark, maps));
    shown.title.textContent = panel.title;
    shown.words.textContent = panel.words;
    shown.canvas.setAttribute("aria-label", panel.alt);
    shown.canvas.dataset.panel = panel.name;
    if (!sameHeight) this.arrange();
  }

  frame() {
    const figure = make("figure", "us-panel");
    this.stack.insertBefore(figure, this.axis);
    const caption = make("figcaption", "us-caption", figure);
    const canvas = make("canvas", "us-canvas", figure);
    canvas.setAttribute("role", "img");
    return { figure, canvas, title: make("strong", "", caption), words: make("span", "us-words", caption) };
  }

  get shown() {
    return this.panels.slice(0, this.model.get("count")).filter((panel) => panel?.data);
  }

  // Sizes change: every canvas gets as many pixels as the screen has.
  arrange() {
    this.panels.forEach((panel, slot) => (panel.figure.hidden = slot >= this.model.get("count")));
    const width = this.stack.clientWidth;
    if (!width) return;
    const narrow = width < 560;
    this.root.classList.toggle("us-narrow", narrow);
    this.gutters = narrow ? [58, 52] : [84, 84];
    const bars = this.shown.some(({ marks }) => marks.some((mark) => mark.kind === "bars" && mark.times));
    this.barKeys.hidden = !bars;
    for (const panel of this.shown) size(panel.canvas, width, TRACK * panel.data.weight + 2 * EDGE);
    size(this.axis, width, 34);
    size(this.over, width, this.axis.offsetTop + 8);
    this.later();
  }

  place(panel) {
    const [left, right] = this.gutters;
    const width = Math.max(this.stack.clientWidth - left - right, 10);
    const height = TRACK * panel.data.weight;
    const { x, y } = panel.data;
    const [from, to] = x.isTime ? this.view : [x.start, x.stop];
    const [low, high] = y.isTime ? this.view : [y.start, y.stop];
    return {
      left, width, height, low, high, top: EDGE,
      x: (value) => left + ((value - from) / (to - from)) * width,
      at: (pixel) => from + ((pixel - left) / width) * (to - from),
      y: (value) => EDGE + height - ((value - low) / (high - low)) * height,
      up: (pixel) => low + ((EDGE + height - pixel) / height) * (high - low),
    };
  }

  later() {
    this.request ??= requestAnimationFrame(() => {
      this.request = null;
      if (!this.gutters || !this.root.isConnected) return;
      this.theme = readTheme(this.root);
      for (const panel of this.shown) drawPanel(panel, this.place(panel), this.theme);
      if (this.shown.length) drawClock(this.axis, this.place({ data: { weight: 0, x: { isTime: true }, y: { start: 0, stop: 1 } } }), this.view, this.theme);
      this.overlay();
    });
  }

  // All that moves: the chosen stretch, the pointer, the playhead.
  overlay() {
    if (!this.theme) return;
    const time = this.player.time;
    const places = this.shown.map((panel) => ({ panel, place: this.place(panel), offset: panel.canvas.offsetTop }));
    drawOver(this.over, places, this.theme, { time, hover: this.hover, stretch: this.stretch });
    this.clock.textContent = `${time.toFixed(2)} / ${this.seconds.toFixed(2)} s`;
    this.root.dataset.time = time.toFixed(4);
  }

  showNote() {
    this.note.textContent = this.model.get("note");
    this.note.hidden = !this.note.textContent;
  }

  // --- sound -----------------------------------------------------------------------------------------------------

  toggle() {
    if (this.player.playing) return this.player.pause();
    if (this.stretch) this.player.play(...this.stretch, this.loop);
    else this.player.play(this.player.position >= this.seconds - 1e-3 ? 0 : this.player.position, this.seconds, this.loop);
  }

  setLoop(loop) {
    this.loop = loop;
    this.loopButton.setAttribute("aria-pressed", loop);
    if (this.player.playing) this.player.play(...(this.stretch ?? [0, this.seconds]), loop);
  }

  choose(stretch, loop = this.loop) {
    this.stretch = stretch;
    this.model.set("stretch", stretch ?? []);
    this.model.save_changes();
    if (stretch) this.player.play(...stretch, loop);
    this.overlay();
  }

  // Called whenever the sound starts or stops.
  rested() {
    const playing = Boolean(this.player.playing);
    this.root.dataset.playing = playing;
    this.playButton.textContent = playing ? "❚❚" : "▶";
    this.playButton.setAttribute("aria-label", playing ? "pause" : "play");
    this.showNote();
    if (playing) return this.follow();
    this.model.set("time", this.player.time);
    this.model.save_changes();
    this.overlay();
  }

  // The playhead follows the sound; where motion is unwelcome, in five steps a second.
  follow() {
    if (this.following) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const next = () => {
      this.following = this.player.playing && this.root.isConnected;
      if (!this.following) return this.overlay();
      const time = this.player.time;
      if (time > this.view[1] || time < this.view[0]) this.look(time, time + this.view[1] - this.view[0]);
      this.overlay();
      calm ? setTimeout(next, 200) : requestAnimationFrame(next);
    };
    this.following = true;
    next();
  }

  // --- zoom ------------------------------------------------------------------------------------------------------

  zoom(factor, around) {
    const length = clamp((this.view[1] - this.view[0]) * factor, Math.min(0.02, this.seconds), this.seconds);
    const from = around - ((around - this.view[0]) / (this.view[1] - this.view[0])) * length;
    this.look(from, from + length);
  }

  look(from, to) {
    const length = Math.min(to - from, this.seconds);
    from = clamp(from, 0, this.seconds - length);
    this.view = [from, from + length];
    this.hands.point(this.hands.last); // another moment lies under a pointer that stays
    this.later();
  }

  dispose() {
    this.undo.forEach((take) => take());
    cancelAnimationFrame(this.request);
    this.player.dispose();
    this.root.remove();
  }
}

export default {
  render({ model, el }) {
    const stage = new Stage(model, el);
    return () => stage.dispose();
  },
};
