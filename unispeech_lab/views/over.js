// Over: everything that moves above the panels, on one canvas: playhead, pointer, chosen stretches, what is linked.

const drawOver = (canvas, panels, theme, now) => {
  const pen = penOf(canvas);
  for (const panel of panels) {
    const { place, data } = panel;
    pen.save();
    pen.translate(panel.figure.offsetLeft, panel.canvas.offsetTop);
    pen.beginPath();
    pen.rect(place.left - 4, 0, place.width + 8, place.height + 2 * EDGE);
    pen.clip();
    if (data.x.isTime) drawMoments(pen, place, theme, now);
    drawItems(pen, panel, theme, now);
    const { hover } = now;
    if (hover && hover.time !== null) {
      pen.globalAlpha = 0.6;
      if (data.x.isTime) line(pen, place, place.x(hover.time), theme);
      pen.fillStyle = theme.ink;
      if (data.y.isTime && hover.panel === panel) pen.fillRect(place.left, place.y(hover.height) - 0.5, place.width, 1);
      pen.globalAlpha = 1;
    }
    drawStrokes(pen, panel, theme, now);
    for (const [width, colour] of [[4, theme.halo], [2, theme.head]]) {
      pen.fillStyle = colour;
      if (data.x.isTime) pen.fillRect(place.x(now.time) - width / 2, 0, width, place.height + 2 * EDGE);
      if (data.y.isTime) pen.fillRect(place.left, place.y(now.time) - width / 2, place.width, width);
    }
    pen.restore();
  }
};

const line = (pen, place, x, theme) => {
  pen.fillStyle = theme.halo;
  pen.fillRect(x - 1.5, 0, 3, place.height + 2 * EDGE);
  pen.fillStyle = theme.ink;
  pen.fillRect(x - 0.5, 0, 1, place.height + 2 * EDGE);
};

const band = (pen, place, [start, end], colour) => {
  pen.fillStyle = colour;
  pen.fillRect(place.x(start), 0, Math.max(place.x(end) - place.x(start), 1), place.height + 2 * EDGE);
};

// Over time: the chosen stretch, what chosen points stand for, the span under the pointer.
const drawMoments = (pen, place, theme, { stretch, linked, hover }) => {
  for (const chosen of linked) {
    band(pen, place, chosen, theme.link);
    pen.fillStyle = theme.wave; // underlined too: a tint alone is not seen by every eye
    pen.fillRect(place.x(chosen[0]), place.height + 2 * EDGE - 2, place.x(chosen[1]) - place.x(chosen[0]), 2);
  }
  if (stretch) {
    band(pen, place, stretch, theme.band);
    pen.fillStyle = theme.head;
    for (const end of stretch) pen.fillRect(place.x(end) - 0.5, 0, 1, place.height + 2 * EDGE);
  }
  if (hover?.span) band(pen, place, hover.span, theme.band);
};

// Items: the one under the pointer, under the keyboard's cursor, those of the chosen stretch, of the playhead, of the knobs.
const drawItems = (pen, panel, theme, { time, hover, stretch }) => {
  for (const mark of panel.marks) {
    const kind = MARKS[mark.kind];
    if (!kind.box || !kind.acts(mark)) continue;
    const ring = (k, colour, width, fill) => {
      const { left, top, width: wide, height, round } = kind.box(mark, k, panel.place);
      pen.beginPath();
      pen.roundRect(left, top, wide, height, round ?? 2);
      if (fill) (pen.fillStyle = fill), pen.fill();
      for (const [stroke, thick] of [[theme.halo, width + 2], [colour, width]]) {
        pen.strokeStyle = stroke;
        pen.lineWidth = thick;
        pen.stroke();
      }
    };
    for (const [start, end, k] of panel.data.x.isTime ? [] : (mark.known?.within ?? [])) {
      if (stretch && Math.abs(start - stretch[0]) < 1e-3 && Math.abs(end - stretch[1]) < 1e-3) ring(k, theme.head, 1, theme.band);
      else if (mark.kind !== "bars" && start <= time && time < end && time > 0) ring(k, theme.head, 2);
    }
    for (const k of mark.known?.turned ?? []) ring(k, theme.ink, 1.5);
    if (hover?.item?.mark === mark) ring(hover.item.k, theme.ink, 1);
    if (panel.cursor?.mark === mark && document.activeElement === panel.canvas) ring(panel.cursor.k, theme.head, 2);
  }
};

// What the reader paints: a moment dragged, stretches painted, a line drawn around points.
const drawStrokes = (pen, panel, theme, { dials, knobs, stroke }) => {
  const { place, data } = panel;
  const base = place.height + 2 * EDGE;
  for (const { name, kind } of dials) {
    const own = data.paints === name;
    if (kind === "moment" && data.x.isTime) {
      const x = place.x(knobs[name] ?? 0);
      pen.setLineDash(own ? [] : [3, 3]);
      pen.strokeStyle = theme.ink;
      pen.lineWidth = own ? 2 : 1;
      pen.beginPath();
      pen.moveTo(x, 0);
      pen.lineTo(x, base);
      pen.stroke();
      pen.setLineDash([]);
      pen.fillStyle = theme.ink;
      if (own) (pen.beginPath(), corners(pen, [x - 6, 0, x + 6, 0, x, 9]), pen.fill()); // to take hold of
    }
    if (kind === "spans" && own) for (const stretch of knobs[name] ?? []) hatch(pen, place, stretch, theme.ink);
  }
  if (stroke?.panel !== panel) return;
  if (stroke.span) hatch(pen, place, stroke.span, stroke.erases ? theme.head : theme.ink);
  if (!stroke.line) return;
  pen.beginPath();
  for (const [x, y] of stroke.line) pen.lineTo(place.x(x), place.y(y));
  pen.closePath();
  pen.fillStyle = theme.band;
  pen.fill();
  pen.strokeStyle = theme.head;
  pen.lineWidth = 1.5;
  pen.stroke();
};

const hatch = (pen, place, [start, end], colour) => {
  const left = place.x(start), right = place.x(end), base = place.height + 2 * EDGE;
  pen.save();
  pen.beginPath();
  pen.rect(left, 0, right - left, base);
  pen.clip();
  pen.globalAlpha = 0.5;
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let x = left - base; x < right; x += 6) (pen.moveTo(x, base), pen.lineTo(x + base, 0));
  pen.stroke();
  pen.globalAlpha = 1;
  pen.lineWidth = 2;
  pen.strokeRect(left, 1, right - left, base - 2);
  pen.restore();
};
