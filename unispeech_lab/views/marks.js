// Marks: each kind of mark drawn on a canvas, and what it says under the pointer.
// A place maps seconds and heights to pixels: {left, top, width, height, x(value), y(value), at(pixel), up(pixel)}.
//
// A mark that acts has items (cells, bars, points, keys, rows), numbered from 0: `find` is the one at a place or -1,
// `tell` its words, `box` where it is drawn, `step` the one that an arrow key leads to; `items.js` says what a click does.

const bytes = (view, Type) =>
  view?.byteLength ? new Type(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)) : new Type(0);

const figures = (value, unit = "") => {
  const large = Math.abs(value) >= 999.5 && Math.abs(value) < 1e9;
  const text = large ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(3)).toString();
  return unit ? `${text} ${unit}` : text;
};

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];

const boxOf = (left, bottom, right, top) => ({ left, top, width: right - left, height: bottom - top });

const MARKS = {
  wave: {
    open(mark) {
      return { ...mark, samples: bytes(mark.samples, Int16Array) };
    },
    draw(pen, mark, place, theme) {
      const { samples, rate, peak } = mark;
      const level = (sample) => place.y((sample / 32767) * peak);
      pen.strokeStyle = pen.fillStyle = theme.wave;
      pen.beginPath();
      const perPixel = (place.at(1) - place.at(0)) * rate;
      if (perPixel < 4) {
        // so close that single samples are seen
        const first = Math.max(0, Math.floor(place.at(place.left) * rate));
        const last = Math.min(samples.length - 1, Math.ceil(place.at(place.left + place.width) * rate));
        for (let i = first; i <= last; i++) pen.lineTo(place.x(i / rate), level(samples[i]));
        pen.lineWidth = 1.2;
        return pen.stroke();
      }
      const dot = 1 / (window.devicePixelRatio || 1);
      for (let px = 0; px < place.width; px += dot) {
        const from = Math.max(0, Math.floor(place.at(place.left + px) * rate));
        const to = Math.min(samples.length, Math.ceil(from + perPixel * dot));
        let low = Infinity, high = -Infinity;
        for (let i = from; i < to; i++) {
          if (samples[i] < low) low = samples[i];
          if (samples[i] > high) high = samples[i];
        }
        if (low > high) continue;
        const top = level(high), bottom = level(low);
        pen.fillRect(place.left + px, top, dot, Math.max(bottom - top, 0.8));
      }
    },
    says(mark, time) {
      const sample = mark.samples[Math.round(time * mark.rate)];
      return sample === undefined ? "" : `level ${figures((sample / 32767) * mark.peak)}`;
    },
  },

  lines: {
    open(mark) {
      const ends = mark.ends && bytes(mark.ends, Float32Array);
      return { ...mark, x: bytes(mark.x, Float32Array), y: bytes(mark.y, Float32Array), ends };
    },
    // Between the low and the high of each number; each is a dot on a stroke of its own, so that a lonely one is seen.
    band(pen, mark, place, k, colour) {
      const count = mark.x.length;
      const end = (side, i) => mark.ends[(side * mark.names.length + k) * count + i];
      const there = (i) => i >= 0 && i < count && !Number.isNaN(end(0, i)) && !Number.isNaN(end(1, i));
      pen.fillStyle = pen.strokeStyle = colour;
      pen.lineWidth = 1;
      for (let i = 0; i < count; i++) {
        const x = place.x(mark.x[i]), [low, high] = [0, 1].map((side) => place.y(end(side, i)));
        if (there(i) && there(i - 1)) {
          const before = place.x(mark.x[i - 1]);
          pen.globalAlpha = 0.16;
          pen.beginPath();
          for (const [at, y] of [[before, place.y(end(0, i - 1))], [before, place.y(end(1, i - 1))], [x, high], [x, low]]) pen.lineTo(at, y);
          pen.fill();
        }
        pen.globalAlpha = 0.45;
        if (there(i)) pen.fillRect(x - 0.5, Math.min(low, high), 1, Math.abs(low - high));
        pen.globalAlpha = 1;
        pen.beginPath();
        pen.arc(x, place.y(mark.y[k * count + i]), 2.6, 0, 7);
        pen.fill();
      }
    },
    draw(pen, mark, place, theme) {
      if (place.low < 0 && place.high > 0) {
        pen.strokeStyle = theme.line;
        pen.lineWidth = 1;
        pen.strokeRect(place.left, Math.round(place.y(0)) + 0.5, place.width, 0);
      }
      const count = mark.x.length;
      mark.names.forEach((name, k) => {
        pen.beginPath();
        let down = false;
        for (let i = 0; i < count; i++) {
          const value = mark.y[k * count + i];
          if (Number.isNaN(value)) down = false;
          else if (down) pen.lineTo(place.x(mark.x[i]), place.y(value));
          else pen.moveTo(place.x(mark.x[i]), place.y(value)), (down = true);
        }
        pen.setLineDash([]);
        pen.strokeStyle = theme.halo; // seen over a heatmap too
        pen.lineWidth = 4;
        pen.stroke();
        pen.setLineDash(DASHES[k % DASHES.length]);
        pen.strokeStyle = theme.curves[k % theme.curves.length];
        pen.lineWidth = 1.6;
        pen.stroke();
        pen.setLineDash([]);
        if (mark.ends) this.band(pen, mark, place, k, theme.curves[k % theme.curves.length]);
      });
    },
    says(mark, time) {
      const count = mark.x.length;
      if (!count) return "";
      let best = 0;
      for (let i = 1; i < count; i++) if (Math.abs(mark.x[i] - time) < Math.abs(mark.x[best] - time)) best = i;
      const between = (k) => mark.ends && [k, k + mark.names.length].map((row) => mark.ends[row * count + best]);
      const shown = (ends) => (ends?.every((end) => !Number.isNaN(end)) ? ` [${ends.map((end) => figures(end)).join(", ")}]` : "");
      return mark.names
        .map((name, k) => [name, mark.y[k * count + best], between(k)])
        .filter(([, value]) => !Number.isNaN(value))
        .map(([name, value, ends]) => `${name} ${figures(value, mark.unit)}${shown(ends)}`)
        .join(mark.ends ? "\n" : ", "); // with intervals a line each
    },
  },

  spans: {
    open(mark, maps) {
      return { ...mark, times: bytes(mark.times, Float32Array), colours: maps.cividis };
    },
    draw(pen, mark, place, theme) {
      const bottom = place.y(mark.y[0]), top = place.y(mark.y[1]);
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.lineWidth = 1;
      mark.labels.forEach((label, k) => {
        const left = place.x(mark.times[2 * k]), right = place.x(mark.times[2 * k + 1]);
        if (right < place.left || left > place.left + place.width) return;
        const shade = mark.shades ? 3 * Math.round(clamp(mark.shades[k], 0, 1) * 254) : 0;
        const [r, g, b] = mark.colours.slice(shade, shade + 3);
        pen.fillStyle = mark.shades ? `rgb(${r},${g},${b})` : theme.tints[k % 2];
        pen.fillRect(left, top, right - left, bottom - top);
        pen.strokeStyle = mark.shades ? theme.ground : theme.edge;
        // Where spans are as narrow as their borders, nothing but borders would be seen.
        if (right - left >= 3) pen.strokeRect(left, top, right - left, bottom - top);
        pen.font = mark.shades ? theme.small : theme.label;
        // A label that does not fit its box would be read as its neighbour's; the read-out has it.
        const visible = Math.min(right, place.left + place.width) - Math.max(left, place.left);
        if (pen.measureText(label).width + 3 > visible) return;
        pen.fillStyle = !mark.shades ? theme.ink : 0.3 * r + 0.59 * g + 0.11 * b > 125 ? "#15181c" : "#ffffff";
        const middle = (Math.max(left, place.left) + Math.min(right, place.left + place.width)) / 2;
        pen.fillText(label, middle, (top + bottom) / 2 + 0.5);
      });
    },
    acts: () => false, // Enter on the stack plays them
    stretch: (mark, k) => [mark.times[2 * k], mark.times[2 * k + 1]],
    // Which span holds a moment, and at a height if one is given.
    find(mark, time, height) {
      if (height !== undefined && (height < mark.y[0] || height > mark.y[1])) return -1;
      return mark.labels.findIndex((_, k) => mark.times[2 * k] <= time && time < mark.times[2 * k + 1]);
    },
    says(mark, time) {
      const k = this.find(mark, time);
      return k < 0 ? "" : `${mark.tier} ${mark.labels[k]}`;
    },
  },
};
