// Hands: what pointer, wheel and keys do to a stage.

class Hands {
  constructor(stage) {
    this.stage = stage;
    const { stack } = stage;
    stack.onpointermove = (event) => this.point(event);
    stack.onpointerleave = () => this.point(null);
    stack.onpointerdown = (event) => this.press(event);
    stack.onpointerup = (event) => this.release(event);
    stack.onkeydown = (event) => this.key(event);
    stack.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  // The panel, the second and the height under the pointer, and the item that lies there.
  under(event) {
    const { stack, shown, seconds } = this.stage;
    const box = stack.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const holds = ({ figure }) =>
      y >= figure.offsetTop && y < figure.offsetTop + figure.offsetHeight && x >= figure.offsetLeft && x < figure.offsetLeft + figure.offsetWidth;
    const panel = shown.find(holds) ?? shown.findLast(({ data }) => data.x.isTime); // the clock's own row
    if (!panel?.place || panel.table) return null;
    const { place, figure, canvas } = panel;
    const px = x - figure.offsetLeft;
    const along = place.at(px);
    const time = panel.data.x.isTime ? clamp(along, 0, seconds) : null; // bars stand at no moment
    const height = place.up(y - canvas.offsetTop);
    const inside = px >= place.left && px <= place.left + place.width;
    const item = inside ? this.item(panel, time ?? along, height) : null;
    return { panel, along, time, height, x, y, inside, item, span: item && this.span(item) };
  }

  // The topmost item at a place of a panel; without a height, of those that stand over time.
  item(panel, along, height) {
    for (const mark of panel.marks.toReversed()) {
      const k = MARKS[mark.kind].find?.(mark, along, height, panel.place) ?? -1;
      if (k >= 0) return { panel, mark, k };
    }
    return null;
  }

  // [start, end] of what an item plays, where that lies in this utterance.
  span({ mark, k }) {
    const [stretch] = soundsOf(mark, k);
    return stretch ? this.stage.here(mark, stretch) : null;
  }

  // What a click on an item does: turn its knobs, play its sound.
  act(panel, mark, k, loop = this.stage.loop) {
    const { stage } = this;
    panel.cursor = { mark, k };
    const turns = turnsOf(mark, k)
      .map(([name, turn]) => [stage.dial(name), turn])
      .map(([dial, turn]) => [dial?.name, dial && sentFor(dial, turn)])
      .filter(([, sent]) => sent !== undefined);
    if (turns.length) stage.turn(Object.fromEntries(turns));
    stage.hear(mark, soundsOf(mark, k), loop);
  }

  // Hear the next bar (or the one before), and say what it is.
  bar(step) {
    const { stage } = this;
    for (const panel of stage.shown)
      for (const mark of panel.marks) {
        if (mark.kind !== "bars" || !mark.times) continue;
        const same = (_, k) => soundsOf(mark, k)[0].every((end, i) => Math.abs(end - stage.stretch?.[i]) < 1e-4);
        const chosen = this.at?.mark === mark && same(0, this.at.k) ? this.at.k : [...mark.heights].findIndex(same);
        this.at = { mark, k: clamp(chosen < 0 ? 0 : chosen + step, 0, mark.heights.length - 1) };
        this.act(panel, mark, this.at.k, false);
        stage.live.textContent = MARKS.bars.says(mark, this.at.k);
        return;
      }
  }

  point(event) {
    const { stage } = this;
    this.last = event;
    const at = event && this.under(event);
    stage.hover = at?.inside ? at : null;
    if (!event?.buttons) stage.strokes.now = null; // let go elsewhere
    if (!stage.strokes.drag(at) && this.dragged(at))
      stage.stretch = [this.pressed.time, at.time].sort((a, b) => a - b);
    stage.tip.textContent = stage.hover && !stage.strokes.now?.line ? this.read(at.time, at) : "";
    stage.tip.hidden = !stage.tip.textContent;
    if (!stage.tip.hidden) {
      const right = at.x > stage.stack.clientWidth / 2; // the read-out leans inwards
      const down = at.y + 14 + stage.tip.offsetHeight < stage.stack.clientHeight;
      stage.tip.style.transform = `translate(${at.x + (right ? -14 : 14)}px, ${at.y + (down ? 14 : -14)}px) translate(${right ? "-100%" : "0"}, ${down ? "0" : "-100%"})`;
    }
    if (!stage.player.playing) stage.overlay();
  }

  // Whether a stretch of time is being drawn by the pointer.
  dragged(at) {
    const from = this.pressed;
    return Boolean(at && from) && Math.abs(at.x - from.x) > 4 && at.time !== null && from.time !== null;
  }

  // What the panel under the pointer says of a moment, then the spans that hold it in the other panels.
  read(time, at) {
    const says = (mark) => MARKS[mark.kind].says(mark, time ?? at.along, at.height, at.panel.place);
    if (time === null) return at.panel.marks.map(says).filter(Boolean).join("\n");
    const lines = [`${time.toFixed(3)} s`];
    if (at?.panel.data.y.isTime) lines[0] = `from ${at.height.toFixed(3)} s to ${time.toFixed(3)} s`;
    if (at) for (const mark of at.panel.marks) lines.push(says(mark));
    for (const { marks } of this.stage.shown)
      for (const mark of marks)
        if (mark.kind === "spans" && marks !== at?.panel.marks) lines.push(MARKS.spans.says(mark, time));
    return lines.filter(Boolean).join("\n");
  }

  press(event) {
    if (event.target.closest(".us-table, button")) return;
    const at = this.under(event);
    const held = at?.panel.canvas.tabIndex === 0 ? at.panel.canvas : this.stage.stack;
    held.focus({ preventScroll: true });
    this.pressed = event.button === 0 && at?.inside ? at : null;
    if (!this.pressed) return;
    this.stage.strokes.press(at, event);
    this.stage.stack.setPointerCapture?.(event.pointerId);
  }

  release(event) {
    const { stage, pressed } = this;
    const at = this.under(event);
    const painted = stage.strokes.release();
    const dragged = !painted && !stage.strokes.dial(pressed?.panel ?? { data: {} }) && this.dragged(at);
    this.pressed = null;
    if (!pressed || painted) return stage.overlay();
    if (!at) return;
    const loop = stage.loop || event.shiftKey;
    if (dragged) return stage.choose([pressed.time, at.time].sort((a, b) => a - b), loop);
    if (at.item) return this.act(at.panel, at.item.mark, at.item.k, loop);
    if (at.time === null) return;
    stage.choose(null);
    stage.seek(at.time);
  }

  // Keys on a panel whose items act: arrows go from one to the next, Enter presses it.
  itemKey(event, panel) {
    const key = event.key.toLowerCase();
    const mark = panel.marks.findLast((mark) => MARKS[mark.kind].acts?.(mark));
    if (!mark) return false;
    const k = panel.cursor?.mark === mark ? panel.cursor.k : 0;
    const paints = this.stage.strokes.dial(panel);
    if (key.startsWith("arrow")) {
      const next = panel.cursor?.mark === mark ? MARKS[mark.kind].step(mark, k, key, panel.place) : k;
      panel.cursor = { mark, k: next };
      this.stage.live.textContent = MARKS[mark.kind].tell(mark, next);
      this.stage.tell(panel, mark, next);
    } else if (key === "enter" || key === " ") this.act(panel, mark, k);
    else if (key === "b" && paints?.kind === "points") this.stage.strokes.toggleAll(paints, [k]);
    else return false;
    this.stage.overlay();
    return true;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { stage } = this;
    const { player } = stage;
    if (event.target.closest("button")) return;
    const panel = stage.shown.find(({ canvas }) => canvas === event.target);
    if (panel && this.itemKey(event, panel)) return event.preventDefault(), event.stopPropagation();
    const step = stage.model.get("step") * (event.shiftKey ? 10 : 1);
    const move = (time) => {
      stage.seek(time);
      stage.live.textContent = this.read(player.position);
    };
    const timed = () => stage.shown.filter((panel) => panel.data.x.isTime).toReversed();
    const held = () => timed().map((panel) => this.item(panel, player.time)).filter(Boolean).map((item) => this.span(item))[0];
    const paint = () => {
      const dial = stage.painter("spans");
      if (dial) stage.strokes.toggle(dial, held() ?? [player.time, Math.min(player.time + step, stage.seconds)]);
    };
    const acts = {
      " ": () => stage.toggle(),
      arrowleft: () => move(player.time - step),
      arrowright: () => move(player.time + step),
      home: () => move(0),
      end: () => move(stage.seconds),
      enter: () => stage.choose(held() ?? null),
      escape: () => stage.leave(),
      b: paint,
      n: () => this.bar(1),
      p: () => this.bar(-1),
      l: () => stage.setLoop(!stage.loop),
      "+": () => stage.zoom(0.5, player.time),
      "=": () => stage.zoom(0.5, player.time),
      "-": () => stage.zoom(2, player.time),
      0: () => stage.look(0, stage.seconds),
    };
    const act = acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  // With ctrl the wheel zooms around the pointer; sideways it moves what is zoomed; else the page scrolls.
  wheel(event) {
    const at = this.under(event);
    const [from, to] = this.stage.view;
    const zooms = event.ctrlKey || event.metaKey;
    const moves = Math.abs(event.deltaX) > Math.abs(event.deltaY) && to - from < this.stage.seconds;
    if (!at?.inside || at.time === null || !(zooms || moves)) return;
    event.preventDefault();
    const shift = (event.deltaX / 800) * (to - from);
    if (zooms) this.stage.zoom(1.0025 ** event.deltaY, at.time);
    else this.stage.look(from + shift, to + shift);
  }
}
