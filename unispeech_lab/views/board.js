// Board: the panels of a stage, laid out, drawn, and what is told of them; what moves above is drawn apart.

class Board {
  constructor(model) {
    this.model = model;
    this.panels = []; // by slot; those beyond the model's count wait, unseen
  }

  maps() {
    this.colours ??= Object.fromEntries(Object.entries(this.model.get("maps")).map(([name, table]) => [name, bytes(table, Uint8Array)]));
    return this.colours;
  }

  open(slot) {
    const panel = this.model.get(`panel_${slot}`);
    if (!panel?.marks || slot >= this.model.get("count")) return;
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
    Aside.keep(shown, panel.sound, this.player);
    const acts = shown.marks.some((mark) => MARKS[mark.kind].acts?.(mark));
    shown.canvas.setAttribute("aria-label", panel.alt);
    shown.canvas.setAttribute("role", acts ? "application" : "img");
    acts ? shown.canvas.setAttribute("tabindex", 0) : shown.canvas.removeAttribute("tabindex");
    shown.canvas.dataset.panel = shown.figure.dataset.panel = panel.name;
    this.fresh = shown.stale = true;
    if (!sameSize) this.unsized = true; // laid out once, when all have changed
    else if (shown.table) this.lay(shown);
  }

  sized = (panel) => panel && JSON.stringify([panel.weight, panel.share, panel.x, panel.y.ticks, Boolean(panel.margin), panel.marks.map((mark) => [mark.kind, mark.legend, mark.columns, mark.kind === "lines" && mark.names])]);

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

  // What is in no panel any more is let go; what comes back is read again.
  keep() {
    const count = this.model.get("count");
    for (let slot = 0; slot < count; slot++) if (!this.panels[slot]?.data) this.open(slot);
    for (const panel of this.panels.slice(count).filter(Boolean)) {
      Object.assign(panel, { data: null, marks: [], margin: null, place: null });
      Aside.keep(panel, null);
      delete panel.canvas.dataset.panel;
    }
  }

  // Sizes change: every canvas gets as many pixels as the screen has.
  arrange() {
    this.unsized = false;
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
    this.hint.textContent = hints(this.shown, this.model.get("dials"), this.silent);
    this.later();
  }

  // One panel's canvas, or its table, and the legend of its points and keys.
  lay(panel) {
    const { data, marks, room, figure, canvas } = panel;
    const [table] = marks.filter((mark) => mark.kind === "table");
    canvas.hidden = Boolean(table);
    figure.classList.toggle("us-tabled", Boolean(table));
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
    const curves = marks.filter((mark) => mark.kind === "lines" && mark.names.length > 1).map((mark) => this.curves(mark));
    panel.kinds.replaceChildren(...legends.flat(), ...curves.flat());
  }

  // Colour and dashes of each curve.
  curves(mark) {
    return mark.names.map((name, k) => {
      const entry = make("span", "us-kind", null);
      const drawn = make("canvas", "", entry);
      size(drawn, 24, 12);
      const pen = penOf(drawn);
      pen.setLineDash(DASHES[k % DASHES.length]);
      pen.strokeStyle = this.theme.curves[k % this.theme.curves.length];
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(0, 6);
      pen.lineTo(24, 6);
      pen.stroke();
      entry.append(name);
      return entry;
    });
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

  // Draw soon: everything, or what has changed by itself.
  later(all = true) {
    if (all) for (const panel of this.shown) panel.stale = true;
    this.request ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    if (this.unsized) this.arrange();
    cancelAnimationFrame(this.request);
    this.request = null;
    if (!this.shown.every((panel) => panel.room) || !this.root.isConnected) return;
    this.theme = readTheme(this.root);
    for (const panel of this.shown) {
      if (panel.table) panel.table.turned();
      else if (panel.stale) this.paint(panel);
      panel.stale = false;
    }
    const clocked = this.shown.findLast((panel) => panel.data.x.isTime);
    if (clocked) drawClock(this.axis, clocked.place, this.view, this.theme);
    this.relate();
    this.overlay();
    if (this.fresh) this.root.dataset.drawn = performance.now(); // when what Python has sent was on its canvas
    this.fresh = false;
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
    const chosen = [];
    for (const { marks } of this.shown)
      for (const mark of marks) {
        if (!MARKS[mark.kind].acts?.(mark)) continue;
        this.known(mark);
        if (mark.kind === "points" && mark.chosen) chosen.push(...mark.known.within.filter(([, , k]) => mark.chosen[k]));
      }
    this.linked = joined(chosen.map(([start, end]) => [start, end]));
    this.root.dataset.linked = JSON.stringify(this.linked);
  }

  // Worked out again only when a knob has turned or another utterance is heard.
  known(mark) {
    const [knobs, place] = [this.model.get("knobs"), this.model.get("place")];
    const { known } = mark;
    if (known?.knobs === knobs && known.place === place && known.seconds === this.seconds) return;
    const dials = this.model.get("dials");
    mark.known = { knobs, place, seconds: this.seconds, turned: turnedOf(mark, dials, knobs), within: within(mark, place, this.seconds) };
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
}

// What the reader can do here, in a line.
const hints = (panels, dials, silent) => {
  const kinds = new Set(panels.flatMap(({ marks }) => marks.filter((mark) => MARKS[mark.kind].acts?.(mark)).map((mark) => mark.kind)));
  const marks = (kind) => panels.flatMap(({ marks }) => marks.filter((mark) => mark.kind === kind));
  const [cells, points, bars] = [marks("heatmap"), marks("points"), marks("bars")];
  const paints = new Set(dials.filter(({ name }) => panels.some(({ data }) => data.paints === name)).map(({ kind }) => kind));
  return [
    panels.some(({ data }) => data.x.isTime) && "click a phone: hear it (shift: again and again) · click: move the playhead · drag: choose a stretch · ← →: a frame, with shift ten · + − 0: zoom",
    !silent && "space: play",
    kinds.has("bars") && (bars.some((mark) => mark.times) ? "click a bar, or n and p: hear what it stands for" : "click a bar: turn to it"),
    cells.some((mark) => mark.sets.some(Boolean)) && "click a cell: turn to it",
    cells.some((mark) => mark.reach) && "point at a frame: what it heard lights up · click it: hear that",
    points.some((mark) => mark.times) && "click a point: hear it",
    kinds.has("keys") && "press a key: hear it",
    kinds.has("table") && "click a head: sort; a row: turn to it",
    paints.has("moment") && "drag in the panel with the handle: move the moment",
    paints.has("spans") && "drag over what is hidden or not: paint (shift: wipe) · b: paint the phone under the playhead",
    paints.has("points") && "drag around points: choose them (shift: more) · escape: none",
  ].filter(Boolean).join(" · ");
};
