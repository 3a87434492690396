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

  // The panel, the second and the height under the pointer.
  under(event) {
    const { stack, shown, seconds } = this.stage;
    const box = stack.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const panel = shown.find(({ figure }) => y >= figure.offsetTop && y < figure.offsetTop + figure.offsetHeight) ?? shown.at(-1);
    if (!panel) return null;
    const place = this.stage.place(panel);
    const along = place.at(x);
    const time = panel.data.x.isTime ? clamp(along, 0, seconds) : null; // bars stand at no moment
    const height = place.up(y - panel.canvas.offsetTop);
    const inside = x >= place.left && x <= place.left + place.width;
    return { panel, along, time, height, x, y, inside, span: this.span(panel, time ?? along, height) };
  }

  // [start, end] of the span of a panel that holds a moment (at a height, if given), or of the bar that stands there.
  span(panel, along, height) {
    for (const mark of panel.marks) {
      const k = MARKS[mark.kind].find?.(mark, along, height) ?? -1;
      if (k >= 0) return MARKS[mark.kind].stretch(mark, k);
    }
    return null;
  }

  // Hear the next bar (or the one before), and say what it is.
  bar(step) {
    const { stage } = this;
    for (const panel of stage.shown)
      for (const mark of panel.marks) {
        if (mark.kind !== "bars" || !mark.times) continue;
        const same = (_, k) => MARKS.bars.stretch(mark, k).every((end, i) => Math.abs(end - stage.stretch?.[i]) < 1e-4);
        const chosen = this.at?.mark === mark && same(0, this.at.k) ? this.at.k : [...mark.heights].findIndex(same);
        this.at = { mark, k: clamp(chosen < 0 ? 0 : chosen + step, 0, mark.heights.length - 1) };
        stage.choose(MARKS.bars.stretch(mark, this.at.k), false);
        stage.live.textContent = MARKS.bars.says(mark, this.at.k);
        return;
      }
  }

  point(event) {
    const { stage } = this;
    this.last = event;
    const at = event && this.under(event);
    stage.hover = at?.inside ? at : null;
    if (this.dragged(at))
      stage.stretch = [this.pressed.time, at.time].sort((a, b) => a - b);
    stage.tip.textContent = stage.hover ? this.read(at.time, at) : "";
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
    if (time === null) return at.panel.marks.map((mark) => MARKS[mark.kind].says(mark, at.along, at.height)).filter(Boolean).join("\n");
    const lines = [`${time.toFixed(3)} s`];
    if (at?.panel.data.y.isTime) lines[0] = `from ${at.height.toFixed(3)} s to ${time.toFixed(3)} s`;
    if (at) for (const mark of at.panel.marks) lines.push(MARKS[mark.kind].says(mark, time, at.height));
    for (const { marks } of this.stage.shown)
      for (const mark of marks)
        if (mark.kind === "spans" && marks !== at?.panel.marks) lines.push(MARKS.spans.says(mark, time));
    return lines.filter(Boolean).join("\n");
  }

  press(event) {
    this.stage.stack.focus({ preventScroll: true });
    const at = this.under(event);
    this.pressed = event.button === 0 && at?.inside ? at : null;
  }

  release(event) {
    const { stage, pressed } = this;
    const at = this.under(event);
    const dragged = this.dragged(at);
    this.pressed = null;
    if (!pressed || !at) return;
    const loop = stage.loop || event.shiftKey;
    if (dragged) return stage.choose([pressed.time, at.time].sort((a, b) => a - b), loop);
    if (at.span) return stage.choose(at.span, loop);
    if (at.time === null) return;
    stage.choose(null);
    stage.player.seek(at.time);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { stage } = this;
    const { player } = stage;
    const step = stage.model.get("step") * (event.shiftKey ? 10 : 1);
    const move = (time) => {
      player.seek(time);
      stage.live.textContent = this.read(player.position);
    };
    const timed = () => stage.shown.filter((panel) => panel.data.x.isTime).toReversed();
    const held = () => timed().map((panel) => this.span(panel, player.time)).find(Boolean);
    const acts = {
      " ": () => stage.toggle(),
      arrowleft: () => move(player.time - step),
      arrowright: () => move(player.time + step),
      home: () => move(0),
      end: () => move(stage.seconds),
      enter: () => stage.choose(held() ?? null),
      escape: () => (player.pause(), stage.choose(null)),
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
