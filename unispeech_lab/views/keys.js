// Keys: a keyboard in rows; each key's coloured part stands as high as the key is used, a press plays its stretches.

MARKS.keys = {
  open(mark) {
    return {
      ...mark, heights: bytes(mark.heights, Float32Array), kinds: bytes(mark.kinds, Uint16Array),
      stretches: bytes(mark.sounds, Float64Array), ends: bytes(mark.ends, Uint32Array),
    };
  },
  // Rows, and keys in a row: each about twice as tall as wide.
  rows(mark, place) {
    const count = Math.max(mark.names.length, 1);
    const rows = Math.max(1, Math.round(Math.sqrt((count * place.height) / (2 * place.width))));
    return [rows, Math.ceil(count / rows)];
  },
  draw(pen, mark, place, theme) {
    pen.textAlign = "center";
    pen.textBaseline = "bottom";
    pen.lineWidth = 1;
    mark.names.forEach((_, k) => {
      const { left, top, width, height } = this.box(mark, k, place);
      const filled = (height - 2) * clamp(mark.heights[k] || 0, 0, 1);
      pen.beginPath();
      pen.roundRect(left, top, width, height, [0, 0, 3, 3]);
      pen.fillStyle = theme.ground;
      pen.fill();
      pen.save();
      pen.clip();
      pen.globalAlpha = 0.55;
      pen.fillStyle = theme.curves[mark.kinds[k] % theme.curves.length];
      pen.fillRect(left, top + height - filled, width, filled);
      pen.restore();
      pen.strokeStyle = k === mark.chosen ? theme.ink : theme.edge;
      pen.lineWidth = k === mark.chosen ? 2.5 : 1;
      pen.stroke();
      pen.font = height > 30 ? theme.tick : theme.small;
      pen.fillStyle = this.sounds(mark, k).length ? theme.ink : theme.faint;
      if (pen.measureText(mark.labels[k]).width < width) pen.fillText(mark.labels[k], left + width / 2, top + height - 2);
    });
  },
  acts: () => true,
  count: (mark) => mark.names.length,
  find(mark, along, height, place) {
    if (height === undefined) return -1;
    const [rows, columns] = this.rows(mark, place);
    const column = Math.floor(((place.x(along) - place.left) / place.width) * columns);
    const row = Math.floor(((place.y(height) - place.top) / place.height) * rows);
    const k = row * columns + column;
    return column < 0 || column >= columns || row < 0 || k >= mark.names.length ? -1 : k;
  },
  says(mark, along, height, place) {
    const k = this.find(mark, along, height, place);
    return k < 0 ? "" : this.tell(mark, k);
  },
  tell(mark, k) {
    const count = this.sounds(mark, k).length;
    const heard = count ? `${count} stretch${count > 1 ? "es" : ""} to hear` : "never used: no sound";
    return [mark.names[k], mark.legend[mark.kinds[k]]?.[1], heard].filter(Boolean).join("\n");
  },
  sounds(mark, k) {
    const found = [];
    for (let i = k ? mark.ends[k - 1] : 0; i < mark.ends[k]; i++) found.push([mark.stretches[2 * i], mark.stretches[2 * i + 1]]);
    return found;
  },
  box(mark, k, place) {
    const [rows, columns] = this.rows(mark, place);
    const wide = place.width / columns, tall = place.height / rows;
    return { left: place.left + (k % columns) * wide + 1, top: place.top + Math.floor(k / columns) * tall + 1, width: wide - 2, height: tall - 4 };
  },
  step(mark, k, key, place) {
    const next = k + { arrowleft: -1, arrowright: 1, arrowup: -this.rows(mark, place)[1], arrowdown: this.rows(mark, place)[1] }[key];
    return next >= 0 && next < mark.names.length ? next : k;
  },
};
