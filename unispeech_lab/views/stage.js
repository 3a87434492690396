// Stage: panels on one time axis, and others beside or under them; one playhead, one sound, one set of knobs.

class Stage {
  static made = 0;

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
    this.linked = []; // stretches of this utterance that chosen points stand for
    this.build();
    this.strokes = new Strokes(this);
    this.hands = new Hands(this);
    this.listen();
    this.load();
    for (let slot = 0; slot < model.get("count"); slot++) this.open(slot);
    this.arrange();
  }

  build() {
    const strip = make("div", "us-tabs", this.root);
    const bar = make("div", "us-bar", this.root);
    this.playButton = make("button", "us-play", bar, { type: "button", onclick: () => this.toggle() });
    this.loopButton = make("button", "us-loop", bar, { type: "button", textContent: "⟳ loop", onclick: () => this.setLoop(!this.loop) });
    this.loopButton.title = "Play the chosen stretch again and again (L)";
    this.clock = make("output", "us-clock", bar);
    this.dials = new Dials(this.model, make("div", "us-knobs", bar), (dial) => this.strokes.clear(dial));
    this.note = make("p", "us-note", this.root);
    this.stack = make("div", "us-stack", this.root, { tabIndex: 0, id: `us-stack-${Stage.made++}` });
    this.stack.setAttribute("role", "group");
    this.stack.setAttribute("aria-label", "Panels on one time axis. Space plays, arrows move the playhead by a frame, Enter plays the phone under it.");
    this.tabs = new Tabs(this.model, strip, this.stack);
    this.axis = make("canvas", "us-axis", this.stack);
    this.axis.setAttribute("aria-hidden", "true");
    this.over = make("canvas", "us-over", this.stack);
    this.over.setAttribute("aria-hidden", "true");
    this.tip = make("div", "us-tip", this.stack, { hidden: true });
    this.live = make("div", "us-live", this.root);
    this.live.setAttribute("aria-live", "polite");
    this.hint = make("p", "us-keys", this.root);
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
    this.on("change:album", () => (this.album = null));
    this.on("change:place", () => this.later());
    this.on("change:tabs", () => this.tabs.build());
    this.on("change:tab", () => this.tabs.turned());
    this.on("change:dials", () => (this.dials.build(), this.arrange()));
    this.on("change:knobs", () => (this.dials.turned(), this.later()));
    this.on("change:note", () => this.showNote());
    // It is told after the browser has laid out and before it paints: what is drawn later would flicker.
    const resize = new ResizeObserver(() => (this.arrange(), this.draw()));
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
    const shown = (this.panels[slot] ??= this.frame(slot));
    const sameSize = this.sized(shown.data) === this.sized(panel);
    if (shown.data?.name !== panel.name) shown.cursor = null;
    shown.data = panel;
    shown.marks = panel.marks.map((mark) => MARKS[mark.kind].open(mark, maps));
    shown.margin = panel.margin && MARKS.heatmap.open(panel.margin, maps);
    if (shown.cursor) shown.cursor = { ...shown.cursor, mark: shown.marks.find(({ kind }) => kind === shown.cursor.mark.kind) };
    shown.title.textContent = panel.title;
    shown.words.textContent = panel.words;
    const acts = shown.marks.some((mark) => MARKS[mark.kind].acts?.(mark));
    shown.canvas.setAttribute("aria-label", panel.alt);
    shown.canvas.setAttribute("role", acts ? "application" : "img");
    shown.canvas.tabIndex = acts ? 0 : -1;
    shown.canvas.dataset.panel = shown.figure.dataset.panel = panel.name;
    if (!sameSize) this.arrange();
    else if (shown.table) this.lay(shown);
  }

  sized = (panel) => panel && JSON.stringify([panel.weight, panel.share, panel.x, panel.y.ticks, panel.marks.map((mark) => [mark.kind, mark.legend])]);

  // Slots are told of in any order, and stand in their own.
  frame(slot) {
    const figure = make("figure", "us-panel");
    this.stack.insertBefore(figure, this.panels.slice(slot + 1).find(Boolean)?.figure ?? this.over);
    const caption = make("figcaption", "us-caption", figure);
    const canvas = make("canvas", "us-canvas", figure);
    return { figure, canvas, caption, title: make("strong", "", caption), words: make("span", "us-words", caption), kinds: make("div", "us-kinds", caption) };
  }

  get shown() {
    return this.panels.slice(0, this.model.get("count")).filter((panel) => panel?.data);
  }

  // Sizes change: every canvas gets as many pixels as the screen has.
  arrange() {
    this.panels.forEach((panel, slot) => (panel.figure.hidden = slot >= this.model.get("count")));
    const width = this.stack.clientWidth;
    if (!width) return;
    const narrow = width < NARROW;
    this.root.classList.toggle("us-narrow", narrow);
    this.theme = readTheme(this.root);
    const pen = this.over.getContext("2d");
    pen.font = this.theme.tick;
    for (const row of rowsOf(this.shown, width))
      for (const panel of row) {
        fit(panel, row.length > 1 ? Math.floor(width * panel.data.share) : width, pen, narrow);
        panel.figure.style.width = `${panel.room.width}px`;
        panel.caption.style.paddingLeft = `${panel.room.left}px`;
        this.lay(panel);
      }
    const clocked = this.shown.findLast((panel) => panel.data.x.isTime);
    this.axis.hidden = !clocked;
    if (clocked && this.axis.previousSibling !== clocked.figure) clocked.figure.after(this.axis);
    if (clocked) size(this.axis, width, 34);
    size(this.over, width, this.stack.scrollHeight);
    this.hint.textContent = hints(this.shown, this.model.get("dials"));
    this.later();
  }

  // One panel's canvas, or its table, and the legend of its points and keys.
  lay(panel) {
    const { data, marks, room, figure, canvas } = panel;
    const [table] = marks.filter((mark) => mark.kind === "table");
    canvas.hidden = Boolean(table);
    if (table) {
      panel.table ??= new Table(this, figure);
      panel.table.root.style.marginLeft = panel.table.root.style.marginRight = `${room.left}px`;
      panel.table.show(panel, table, TRACK * data.weight);
    } else {
      panel.table?.root.remove();
      panel.table = null;
      size(canvas, room.width, TRACK * data.weight + 2 * EDGE + panel.foot);
    }
    const legends = marks.filter((mark) => ["points", "keys"].includes(mark.kind)).map((mark) => this.legend(panel, mark));
    panel.kinds.replaceChildren(...legends.flat());
  }

  // Sign and name of each kind there is; under the pointer it stands out, a press chooses all of it.
  legend(panel, mark) {
    const dial = panel.data.paints && this.dial(panel.data.paints);
    const dense = window.devicePixelRatio || 1;
    return [...new Set(mark.kinds)].sort((a, b) => a - b).filter((kind) => mark.legend[kind]?.[1]).map((kind) => {
      const [sign, name] = mark.legend[kind];
      const all = () => [...mark.kinds.keys()].filter((k) => mark.kinds[k] === kind);
      const chooses = mark.kind === "points" && dial?.kind === "points";
      const entry = make(chooses ? "button" : "span", "us-kind", null, chooses ? { type: "button", onclick: () => this.strokes.toggleAll(dial, all()) } : {});
      const drawn = make("canvas", "", entry);
      size(drawn, 14, 14);
      const pen = penOf(drawn);
      pen.translate(7, 7);
      if (mark.kind === "keys" && !sign) (pen.fillStyle = this.theme.curves[kind % this.theme.curves.length]), pen.fillRect(-5, -5, 10, 10);
      else drawSign(pen, this.theme, kind, sign, 4.6 / Math.max(1, sign.length / 2));
      entry.append(sign === name ? "" : name);
      entry.setAttribute("aria-label", chooses ? `choose all ${name}` : name);
      if (mark.kind === "points") {
        const light = (lit) => ((mark.lit = lit), this.later());
        entry.onpointerenter = () => light(kind);
        entry.onpointerleave = () => light(undefined);
      }
      return entry;
    });
  }

  place(panel) {
    const { left, inner: width, strip } = panel.room;
    const height = TRACK * panel.data.weight;
    const { x, y } = panel.data;
    const [from, to] = x.isTime ? this.view : [x.start, x.stop];
    const [low, high] = y.isTime ? this.view : [y.start, y.stop];
    return {
      left, width, height, low, high, strip, top: EDGE,
      x: (value) => left + ((value - from) / (to - from)) * width,
      at: (pixel) => from + ((pixel - left) / width) * (to - from),
      y: (value) => EDGE + height - ((value - low) / (high - low)) * height,
      up: (pixel) => low + ((EDGE + height - pixel) / height) * (high - low),
    };
  }

  later() {
    this.request ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.request);
    this.request = null;
    if (!this.shown.every((panel) => panel.room) || !this.root.isConnected) return;
    this.theme = readTheme(this.root);
    for (const panel of this.shown) {
      if (panel.table) panel.table.turned();
      else this.paint(panel);
    }
    const clocked = this.shown.findLast((panel) => panel.data.x.isTime);
    if (clocked) drawClock(this.axis, clocked.place, this.view, this.theme);
    this.relate();
    this.overlay();
  }

  paint(panel) {
    panel.place = this.place(panel);
    panel.canvas.dataset.plot = [panel.place.left, EDGE, panel.place.width, panel.place.height];
    drawPanel(panel, panel.place, this.theme);
    if (panel.foot) drawFoot(panel.canvas, panel, panel.place, this.theme);
    if (panel.margin) MARKS.heatmap.sideways(panel.canvas.getContext("2d"), panel.margin, panel.place, panel.place.strip);
  }

  // What stands where the knobs are, and what chosen points stand for in this utterance.
  relate() {
    const dials = this.model.get("dials"), knobs = this.model.get("knobs"), place = this.model.get("place");
    const chosen = [];
    for (const panel of this.shown) {
      panel.turned = new Map();
      panel.within = new Map();
      for (const mark of panel.marks) {
        const kind = MARKS[mark.kind];
        if (!kind.box || !kind.acts(mark)) continue;
        if (mark.sets?.some((turn) => turn && (typeof turn === "string" || Object.keys(turn).length)))
          panel.turned.set(mark, [...Array(kind.count(mark)).keys()].filter((k) => isTurned(mark, k, dials, knobs)));
        if (!panel.data.x.isTime) panel.within.set(mark, within(mark, place, this.seconds));
        if (mark.kind === "points" && mark.chosen)
          chosen.push(...panel.within.get(mark).filter(([, , k]) => mark.chosen[k]).map(([start, end]) => [start, end]));
      }
    }
    this.linked = joined(chosen);
    this.root.dataset.linked = JSON.stringify(this.linked);
  }

  // All that moves: the chosen stretch, the pointer, the playhead.
  overlay() {
    if (!this.theme) return;
    const time = this.player.time;
    const now = {
      time, hover: this.hover, stretch: this.stretch, linked: this.linked, stroke: this.strokes.now,
      dials: this.model.get("dials"), knobs: this.model.get("knobs"),
    };
    drawOver(this.over, this.shown.filter((panel) => panel.place && !panel.table), this.theme, now);
    this.clock.textContent = `${time.toFixed(2)} / ${this.seconds.toFixed(2)} s`;
    this.root.dataset.time = time.toFixed(4);
  }

  showNote() {
    this.note.textContent = this.model.get("note");
    this.note.hidden = !this.note.textContent;
  }

  // --- knobs -----------------------------------------------------------------------------------------------------

  dial(name) {
    return this.model.get("dials").find((dial) => dial.name === name);
  }

  painter(kind) {
    return this.model.get("dials").find((dial) => dial.kind === kind);
  }

  // While Python computes, the notebook holds back all but the newest position.
  turn(knobs) {
    this.model.set("knobs", { ...this.model.get("knobs"), ...knobs });
    this.model.save_changes();
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

  // A stretch of a mark's sound as seconds of this utterance; null where it is of another.
  here(mark, [start, end]) {
    const place = mark.album ? this.model.get("place") : 0;
    const inside = place >= 0 && end - place > 0 && start - place < this.seconds && (!mark.album || (start > place - 1e-3 && end < place + this.seconds + 1e-3));
    return inside ? [start, end].map((at) => clamp(at - place, 0, this.seconds)) : null;
  }

  // Play an item: where it lies in this utterance, with the playhead; else out of the album.
  hear(mark, sounds, loop) {
    if (!sounds.length) return this.overlay();
    const here = sounds.length === 1 && mark.kind !== "keys" && this.here(mark, sounds[0]);
    if (here) return this.choose(here, loop);
    if (!mark.album) return;
    this.album ??= bytes(this.model.get("album"), Int16Array);
    this.player.clips(this.album, sounds);
    this.overlay();
  }

  // The reader moves the playhead; a moment among the knobs goes along.
  seek(time) {
    this.player.seek(time);
    const dial = this.painter("moment");
    if (dial) this.turn({ [dial.name]: this.player.position });
  }

  // Rest: no sound, no stretch, no points chosen.
  leave() {
    this.player.pause();
    this.choose(null);
    const dial = this.painter("points");
    if (dial && this.strokes.painted(dial).length) this.strokes.clear(dial);
  }

  // What the keyboard's cursor is on, read out beside it.
  tell(panel, mark, k) {
    const { left, top, width, height } = MARKS[mark.kind].box(mark, k, panel.place);
    this.tip.textContent = MARKS[mark.kind].tell(mark, k);
    this.tip.hidden = false;
    const x = panel.figure.offsetLeft + left + width, right = x > this.stack.clientWidth / 2;
    this.tip.style.transform = `translate(${right ? x - width - 8 : x + 8}px, ${panel.canvas.offsetTop + top + height / 2}px) translate(${right ? "-100%" : "0"}, -50%)`;
  }

  // Called whenever the sound starts or stops.
  rested() {
    const playing = Boolean(this.player.playing);
    this.root.dataset.playing = playing;
    this.root.dataset.clip = Boolean(this.player.clip);
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

// What the reader can do here, in a line.
const hints = (panels, dials) => {
  const kinds = new Set(panels.flatMap(({ marks }) => marks.filter((mark) => MARKS[mark.kind].acts?.(mark)).map((mark) => mark.kind)));
  const paints = new Set(dials.filter(({ name }) => panels.some(({ data }) => data.paints === name)).map(({ kind }) => kind));
  return [
    panels.some(({ data }) => data.x.isTime) && "click a phone: hear it (shift: again and again) · click: move the playhead · drag: choose a stretch · ← →: a frame, with shift ten · + − 0: zoom",
    "space: play",
    kinds.has("bars") && "click a bar, or n and p: hear what it stands for",
    kinds.has("heatmap") && "click a cell: turn to it",
    kinds.has("points") && "click a point: hear it",
    kinds.has("keys") && "press a key: hear it",
    kinds.has("table") && "click a head: sort; a row: turn to it",
    paints.has("moment") && "drag in the panel with the handle: move the moment",
    paints.has("spans") && "drag in the hatched panel: paint (shift: wipe) · b: paint the phone under the playhead",
    paints.has("points") && "drag around points: choose them (shift: more) · escape: none",
  ].filter(Boolean).join(" · ");
};

export default {
  render({ model, el }) {
    const stage = new Stage(model, el);
    return () => stage.dispose();
  },
};
