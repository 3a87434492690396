// Bars: the i-th over x from i to i + 1, each with a sign beside its colour; one that has times can be heard.
MARKS.bars = {
  open(mark) {
    return { ...mark, heights: bytes(mark.heights, Float32Array), kinds: bytes(mark.kinds, Uint16Array), times: mark.times && bytes(mark.times, Float64Array) };
  },
  draw(pen, mark, place, theme) {
    const zero = place.y(0);
    const room = place.x(1) - place.x(0);
    const signs = Array.from(mark.heights, (_, k) => mark.legend[mark.kinds[k]][0]);
    const numbers = Array.from(mark.heights, (height, k) => `${signs[k]} ${figures(height)}`.trim());
    pen.font = theme.small;
    const told = numbers.every((number) => pen.measureText(number).width < room - 4); // all of them or none
    pen.fillStyle = theme.faint;
    pen.fillRect(place.left, Math.round(zero), place.width, 1);
    pen.textAlign = "center";
    mark.heights.forEach((height, k) => {
      const middle = place.x(k + 0.5);
      pen.fillStyle = theme.ink;
      pen.textBaseline = "bottom";
      if (pen.measureText(mark.names[k]).width < room) pen.fillText(mark.names[k], middle, place.top + place.height - 1);
      if (Number.isNaN(height)) return;
      const end = place.y(height);
      pen.fillStyle = theme.kinds[mark.kinds[k] % theme.kinds.length];
      pen.fillRect(place.x(k + 0.09), Math.min(zero, end), Math.max(0.82 * room, 1), Math.max(Math.abs(end - zero), 1));
      pen.fillStyle = theme.ink;
      pen.textBaseline = height >= 0 ? "bottom" : "top";
      pen.fillText(told ? numbers[k] : signs[k], middle, end + (height >= 0 ? -1 : 2));
    });
  },
  // The legend, where a heatmap has its scale.
  scale(pen, mark, place, theme) {
    pen.textAlign = "left";
    pen.textBaseline = "top";
    mark.legend.filter((entry) => entry.some(Boolean)).forEach(([sign, name], k) => {
      pen.fillStyle = theme.kinds[k % theme.kinds.length];
      pen.fillText(sign || "■", place.left + place.width + 6, place.top + 14 * k);
      pen.fillStyle = theme.faint;
      pen.fillText(name, place.left + place.width + 18, place.top + 14 * k, pen.canvas.clientWidth - place.left - place.width - 18);
    });
  },
  acts: (mark) => Boolean(mark.times || mark.sets.length),
  find(mark, along) {
    const k = Math.floor(along);
    return mark.heights[k] === undefined || Number.isNaN(mark.heights[k]) ? -1 : k;
  },
  count: (mark) => mark.heights.length,
  says(mark, along) {
    const k = this.find(mark, along);
    return k < 0 ? "" : this.tell(mark, k);
  },
  tell(mark, k) {
    const lines = [mark.names[k], `${mark.quantity} ${figures(mark.heights[k], mark.unit)}`, mark.legend[mark.kinds[k]].join(" ").trim()];
    if (mark.times && !mark.album) lines.push(`${mark.times[2 * k].toFixed(3)} to ${mark.times[2 * k + 1].toFixed(3)} s`);
    return lines.filter(Boolean).join("\n");
  },
  box: (mark, k, place) => boxOf(place.x(k), place.top + place.height, place.x(k + 1), place.top),
  step(mark, k, key) {
    const by = { arrowleft: -1, arrowdown: -1, arrowright: 1, arrowup: 1 }[key];
    let next = k + by;
    while (Number.isNaN(mark.heights[next])) next += by;
    return mark.heights[next] === undefined ? k : next;
  },
};
