// Marks: each kind of mark drawn on a canvas, and what it says under the pointer.
// A place maps seconds and heights to pixels: {left, top, width, height, x(value), y(value), at(pixel), up(pixel)}.

const bytes = (view, Type) =>
  view?.byteLength ? new Type(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)) : new Type(0);

const figures = (value, unit = "") => {
  const text = value === 0 ? "0" : Number(value.toPrecision(3)).toString();
  return unit ? `${text} ${unit}` : text;
};

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

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

  heatmap: {
    open(mark, maps) {
      const [rows, columns] = mark.shape;
      const cells = bytes(mark.cells, Uint8Array);
      const colours = maps[mark.map];
      const image = new ImageData(Math.max(columns, 1), Math.max(rows, 1));
      for (let row = 0; row < rows; row++) {
        let to = (rows - 1 - row) * columns * 4; // row 0 lies at the bottom
        for (let from = row * columns; from < (row + 1) * columns; from++, to += 4) {
          const cell = cells[from];
          if (cell === 255) continue; // nothing there: the ground shows
          image.data[to] = colours[3 * cell];
          image.data[to + 1] = colours[3 * cell + 1];
          image.data[to + 2] = colours[3 * cell + 2];
          image.data[to + 3] = 255;
        }
      }
      const picture = document.createElement("canvas");
      picture.width = image.width;
      picture.height = image.height;
      picture.getContext("2d").putImageData(image, 0, 0);
      return { ...mark, cells, picture, colours };
    },
    draw(pen, mark, place, theme) {
      const left = place.x(mark.x[0]), right = place.x(mark.x[1]);
      const bottom = place.y(mark.y[0]), top = place.y(mark.y[1]);
      // Large cells keep their edges; more cells than pixels are averaged instead of dropped.
      pen.imageSmoothingEnabled = mark.shape[0] > bottom - top || mark.shape[1] > right - left;
      pen.imageSmoothingQuality = "high";
      pen.drawImage(mark.picture, left, top, right - left, bottom - top);
    },
    // The scale beside the picture: its two ends in numbers, its colours between them.
    scale(pen, mark, place, theme) {
      const left = place.left + place.width + 8, width = 9;
      for (let i = 0; i < 64; i++) {
        const c = 3 * Math.round((i / 63) * 254);
        pen.fillStyle = `rgb(${mark.colours[c]},${mark.colours[c + 1]},${mark.colours[c + 2]})`;
        const top = place.top + (place.height * (63 - i)) / 64;
        pen.fillRect(left, top, width, place.height / 64 + 0.6);
      }
      pen.fillStyle = theme.faint;
      pen.textAlign = "left";
      pen.textBaseline = "top";
      pen.fillText(figures(mark.high, mark.unit), left + width + 4, place.top);
      pen.textBaseline = "bottom";
      pen.fillText(figures(mark.low, mark.unit), left + width + 4, place.top + place.height);
    },
    says(mark, time, height) {
      const [rows, columns] = mark.shape;
      const column = Math.floor(((time - mark.x[0]) / (mark.x[1] - mark.x[0])) * columns);
      const row = Math.floor(((height - mark.y[0]) / (mark.y[1] - mark.y[0])) * rows);
      if (column < 0 || column >= columns || row < 0 || row >= rows) return "";
      const cell = mark.cells[row * columns + column];
      if (cell === 255) return "nothing here";
      const value = mark.low + (cell / 254) * (mark.high - mark.low);
      const bound = cell === 254 ? "≥ " : cell === 0 ? "≤ " : "";
      const where = mark.rows.length ? `${mark.rows[row]}: ` : "";
      return `${where}${mark.quantity} ${bound}${figures(value, mark.unit)}`;
    },
  },

  lines: {
    open(mark) {
      return { ...mark, x: bytes(mark.x, Float32Array), y: bytes(mark.y, Float32Array) };
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
        pen.setLineDash([[], [6, 3], [2, 2], [8, 3, 2, 3]][k % 4]);
        pen.strokeStyle = theme.curves[k % theme.curves.length];
        pen.lineWidth = 1.6;
        pen.stroke();
      });
      pen.setLineDash([]);
    },
    says(mark, time) {
      const count = mark.x.length;
      if (!count) return "";
      let best = 0;
      for (let i = 1; i < count; i++) if (Math.abs(mark.x[i] - time) < Math.abs(mark.x[best] - time)) best = i;
      return mark.names
        .map((name, k) => [name, mark.y[k * count + best]])
        .filter(([, value]) => !Number.isNaN(value))
        .map(([name, value]) => `${name} ${figures(value, mark.unit)}`)
        .join(", ");
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

// Bars: the i-th over x from i to i + 1, each with a sign beside its colour; one that has times can be heard.
MARKS.bars = {
  open(mark) {
    return { ...mark, heights: bytes(mark.heights, Float32Array), kinds: bytes(mark.kinds, Uint16Array), times: mark.times && bytes(mark.times, Float64Array) };
  },
  draw(pen, mark, place, theme) {
    const zero = place.y(0);
    const room = place.x(1) - place.x(0);
    const numbers = [...mark.heights].map((height) => figures(height));
    pen.font = theme.small;
    const told = numbers.every((number) => pen.measureText(number).width < room); // all of them or none
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
      const sign = `${mark.legend[mark.kinds[k]][0]} ${told ? numbers[k] : ""}`.trim();
      pen.fillStyle = theme.ink;
      pen.textBaseline = height >= 0 ? "bottom" : "top";
      pen.fillText(sign, middle, end + (height >= 0 ? -1 : 2));
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
  find(mark, along) {
    const k = Math.floor(along);
    return mark.heights[k] === undefined || Number.isNaN(mark.heights[k]) ? -1 : k;
  },
  stretch: (mark, k) => (mark.times ? [mark.times[2 * k], mark.times[2 * k + 1]] : null),
  says(mark, along) {
    const k = this.find(mark, along);
    if (k < 0) return "";
    const lines = [mark.names[k], `${mark.quantity} ${figures(mark.heights[k], mark.unit)}`, mark.legend[mark.kinds[k]].join(" ").trim()];
    const stretch = this.stretch(mark, k);
    if (stretch) lines.push(`${stretch[0].toFixed(3)} to ${stretch[1].toFixed(3)} s`);
    return lines.filter(Boolean).join("\n");
  },
};
MARKS.matrix = MARKS.heatmap;
