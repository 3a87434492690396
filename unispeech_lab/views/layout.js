// Layout: how wide each panel is, and how much of that its scales need.

const TRACK = 62; // pixels of height for a panel of weight 1
const NARROW = 560; // a stage under so many pixels keeps smaller margins, and its panels lie under one another

// Neighbours that share the width are side by side: rows of panels.
const rowsOf = (panels, width) => {
  const rows = [];
  for (const panel of panels) {
    const { share } = panel.data;
    const used = (rows.at(-1) ?? []).reduce((sum, other) => sum + other.data.share, 0);
    const room = rows.length && used + share <= 1 + 1e-6 && width >= NARROW;
    room ? rows.at(-1).push(panel) : rows.push([panel]);
  }
  return rows;
};

// The named places along x of a panel that is not on the clock: the axis's own, a heatmap's columns, none under bars.
const placesUnder = ({ data, marks }) => {
  if (data.x.ticks.length) return data.x.ticks;
  const heatmap = marks.find((mark) => mark.kind === "heatmap" && mark.columns.length);
  if (!heatmap) return marks.some((mark) => mark.kind === "bars") ? [] : null;
  const wide = (heatmap.x[1] - heatmap.x[0]) / heatmap.columns.length;
  return heatmap.columns.map((name, k) => [heatmap.x[0] + (k + 0.5) * wide, name]);
};

// What of a panel's width its scales take, and what it needs under its plot.
const fit = (panel, width, pen, narrow) => {
  const { data, marks } = panel;
  const wide = (text) => pen.measureText(text).width;
  let [left, right] = narrow ? [58, 52] : [84, 84];
  if (!data.x.isTime) {
    const ticks = data.y.ticks.length ? data.y.ticks.map(([, name]) => name) : ["−0.00"];
    const named = data.y.unit || !data.y.ticks.length ? 20 : 0;
    if (!data.y.label) left = right = narrow ? 4 : 12;
    else {
      left = clamp(16 + named + Math.max(...ticks.map(wide)), 40, 0.4 * width);
      right = marks.some(({ kind, legend }) => kind !== "bars" ? MARKS[kind].scale : legend.some(([sign, name]) => sign || name)) ? right : 14;
    }
  }
  const strip = data.margin ? (narrow ? 16 : 32) : 0;
  const inner = Math.max(width - left - right, 10);
  Object.assign(panel, { room: { left, right, width, inner, strip }, under: null, standing: 0, foot: 0 });
  if (data.x.isTime || !data.x.label) return;
  panel.under = placesUnder(panel);
  const names = panel.under?.map(([, name]) => wide(name)) ?? [];
  const each = inner / names.length;
  // Names stand where they are too long to lie side by side, unless they are too many for that as well.
  if (Math.max(...names, 0) + 6 > each && each >= 11) panel.standing = Math.min(Math.max(...names) + 2, 84);
  panel.foot = panel.standing ? panel.standing + 26 : names.length || !panel.under ? 34 : 20;
};
