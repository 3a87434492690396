// Strokes: what dragging in a panel paints: a moment, stretches of time, a line around points.

class Strokes {
  constructor(stage) {
    this.stage = stage;
    this.now = null; // {panel, dial, from, span, line, erases} while the pointer is down
  }

  dial(panel) {
    return panel.data.paints ? this.stage.dial(panel.data.paints) : null;
  }

  press(at, event) {
    const dial = this.dial(at.panel);
    if (!dial || (dial.kind !== "points" && at.time === null)) return;
    this.now = { panel: at.panel, dial, from: at, erases: event.shiftKey || event.altKey, adds: event.shiftKey };
    if (dial.kind === "moment") this.stage.turn({ [dial.name]: at.time });
  }

  // Whether the pointer paints; then it chooses no stretch.
  drag(at) {
    const { now } = this;
    if (!now || !at) return Boolean(now);
    if (now.dial.kind === "moment") return at.time !== null && this.stage.turn({ [now.dial.name]: at.time }), true;
    if (Math.hypot(at.x - now.from.x, at.y - now.from.y) < 5 && !now.line && !now.span) return true;
    if (now.dial.kind === "spans" && at.time !== null) now.span = [now.from.time, at.time].sort((a, b) => a - b);
    if (now.dial.kind === "points") (now.line ??= [[now.from.along, now.from.height]]).push([at.along, at.height]);
    return true;
  }

  // Returns whether something was painted; else it was a click.
  release() {
    const { now } = this;
    this.now = null;
    if (now?.span) this.brush(now.dial, now.span, now.erases);
    if (now?.line) this.lasso(now.dial, now.panel, now.line, now.adds);
    return Boolean(now?.span || now?.line);
  }

  painted(dial) {
    return this.stage.model.get("knobs")[dial.name] ?? [];
  }

  brush(dial, [start, end], erases) {
    const before = this.painted(dial);
    const kept = before.flatMap(([a, b]) => [[a, Math.min(b, start)], [Math.max(a, end), b]].filter(([from, to]) => to - from > 1e-4));
    this.stage.turn({ [dial.name]: erases ? kept : joined([...before, [start, end]]) });
  }

  lasso(dial, panel, line, adds) {
    const { place } = panel;
    const around = line.map(([x, y]) => [place.x(x), place.y(y)]);
    const found = new Set(adds ? this.painted(dial) : []);
    for (const mark of panel.marks)
      if (mark.kind === "points")
        mark.x.forEach((x, k) => encloses(around, place.x(x), place.y(mark.y[k])) && found.add(k));
    this.stage.turn({ [dial.name]: [...found].sort((a, b) => a - b) });
  }

  clear(dial) {
    this.stage.turn({ [dial.name]: dial.kind === "moment" ? 0 : [] });
  }

  // The keyboard's way: paint a stretch, or take it away where it is painted already.
  toggle(dial, stretch) {
    const middle = (stretch[0] + stretch[1]) / 2;
    this.brush(dial, stretch, this.painted(dial).some(([a, b]) => a <= middle && middle < b));
  }

  toggleAll(dial, points) {
    const found = new Set(this.painted(dial));
    const there = points.every((k) => found.has(k));
    points.forEach((k) => (there ? found.delete(k) : found.add(k)));
    this.stage.turn({ [dial.name]: [...found].sort((a, b) => a - b) });
  }
}

// Whether a closed line goes around a place: a ray from it crosses the line an odd number of times.
const encloses = (around, x, y) => {
  let inside = false;
  for (let i = 0, j = around.length - 1; i < around.length; j = i++) {
    const [ax, ay] = around[i], [bx, by] = around[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
};
