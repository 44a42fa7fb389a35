"use strict";
// Charts of curves over environment steps, which share one range of steps: drag to zoom, double-click for all.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 200, LEFT = 52, RIGHT = 8, TOP = 8, BOTTOM = 20;
let data = JSON.parse(document.getElementById("data").textContent);
let range = null;              // [first, last] step, or null for all
let pointed = null;            // the step under the pointer
const hidden = new Set();      // lines that are switched off
const charts = [];

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "rect", "text", "g", "circle", "clipPath"].includes(name);
  const made = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const color = (line) => `var(--line${line % 8})`;
const dash = (line) => (line >= 8 ? "6 3" : "none");

function number(value) {
  if (value === null || value === undefined || !isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && size < 1e-3) return Number(value.toPrecision(2)).toExponential();
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  return size >= 1e4 ? `${Number((value / 1e3).toPrecision(3))}k` : String(Number(value.toPrecision(3 + (size >= 1))));
}

function steps(value) {
  const whole = Math.round(value);
  return whole < 1e3 || whole >= 1e4 ? number(whole) : `${Number((whole / 1e3).toPrecision(3))}k`;
}

function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function powers(low, high) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  const every = Math.max(1, Math.ceil((last - first + 1) / 5)), found = [];
  for (let i = first; i <= last; i += every) found.push(10 ** i);
  return found.length ? found : [low, high];
}

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value === null) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

const allSteps = () =>
  extent(data.panels.flatMap((panel) => panel.curves.flatMap((curve) => [curve.x[0], curve.x.at(-1)]))) || [0, 1];

class Chart {
  constructor(panel) {
    this.panel = panel;
    this.svg = element("svg", { height: HEIGHT, tabindex: 0, role: "img",
      "aria-label": `${panel.title} against environment steps; arrow keys read values` });
    this.reading = element("div", { class: "reading" });
    this.svg.addEventListener("pointerdown", (event) => this.press(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    this.svg.addEventListener("pointerup", (event) => this.release(event));
    this.svg.addEventListener("pointercancel", () => { this.from = null; drawAll(); });
    this.svg.addEventListener("pointerleave", () => { if (this.from == null) point(null); });
    this.svg.addEventListener("dblclick", () => zoom(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    const unit = panel.unit && panel.unit !== "1" ? ` (${panel.unit})` : "";
    const notes = [["", panel.equation], ["Healthy: ", panel.healthy], ["Trouble: ", panel.trouble]]
      .filter(([, text]) => text && text !== "–").map(([head, text]) => element("p", {}, head + text));
    const every = panel.dots.length ? panel.dots[0].every : 0;
    if (every) notes.push(element("p", {}, every > 1 ? `Dots: one in ${every} episodes.` : "Dots: episodes."));
    this.box = element("section", { class: "panel", "data-metric": panel.metric },
      element("h3", {}, panel.title + unit), this.svg, this.reading,
      notes.length ? element("details", {}, element("summary", {}, panel.metric), ...notes) : null);
  }

  shown(kind) {
    return this.panel[kind].filter((one) => !hidden.has(one.line));
  }

  scales() {
    this.width = this.svg.clientWidth || 380;
    const [first, last] = range || allSteps(), log = this.panel.log;
    const inside = (one, values) => values.filter((y, i) =>
      one.x[i] >= first && one.x[i] <= last && (!log || y > 0));
    const curves = this.shown("curves");
    let values = curves.flatMap((one) => inside(one, one.y));
    if (!log) values = values.concat(curves.flatMap((one) => (one.low ? inside(one, one.low.concat()) : [])),
      curves.flatMap((one) => (one.high ? inside(one, one.high) : [])));
    values = values.concat(this.shown("dots").flatMap((one) => inside(one, one.y)));
    let [low, high] = extent(values) || (log ? [1, 10] : [0, 1]);
    if (log) [low, high] = [low / 1.3, high * 1.3];
    else if (low === high) [low, high] = [low - 0.5, high + 0.5];
    else [low, high] = [low - 0.04 * (high - low), high + 0.04 * (high - low)];
    const at = log ? Math.log10 : (y) => y;
    const span = at(high) - at(low), across = this.width - LEFT - RIGHT, down = HEIGHT - TOP - BOTTOM;
    this.x = (step) => LEFT + ((step - first) / (last - first || 1)) * across;
    this.y = (y) => TOP + (1 - (at(y) - at(low)) / span) * down;
    this.step = (pixel) => first + ((pixel - LEFT) / across) * (last - first);
    this.bounds = { first, last, low, high };
  }

  draw() {
    this.scales();
    const { first, last, low, high } = this.bounds, down = HEIGHT - BOTTOM;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    const clip = `clip-${this.panel.metric.replace(/\W/g, "-")}`;
    const inside = element("g", { "clip-path": `url(#${clip})` });
    const parts = [element("clipPath", { id: clip },
      element("rect", { x: LEFT, y: TOP, width: this.width - LEFT - RIGHT, height: down - TOP }))];
    for (const y of this.panel.log ? powers(low, high) : ticks(low, high, 4)) {
      parts.push(element("line", { class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: this.y(y), y2: this.y(y) }),
        element("text", { x: LEFT - 6, y: this.y(y) + 4, "text-anchor": "end" }, number(y)));
    }
    for (const x of ticks(first, last, Math.max(2, Math.floor(this.width / 90)))) {
      parts.push(element("text", { x: this.x(x), y: HEIGHT - 4, "text-anchor": "middle" }, steps(x)));
    }
    for (const one of this.shown("dots")) inside.append(this.path(one, "dots"));
    for (const one of this.shown("curves")) if (one.low) inside.append(this.band(one));
    for (const one of this.shown("curves")) inside.append(this.path(one, "curve"));
    this.over = element("g");
    this.svg.replaceChildren(...parts, inside, this.over);
    this.mark();
  }

  path(one, kind) {
    let text = "", pen = "M";
    one.y.forEach((y, i) => {
      if (y === null || (this.panel.log && y <= 0)) { pen = "M"; return; }
      text += kind === "dots" ? `M${this.x(one.x[i]).toFixed(1)} ${this.y(y).toFixed(1)}h0`
        : `${pen}${this.x(one.x[i]).toFixed(1)} ${this.y(y).toFixed(1)}`;
      pen = "L";
    });
    return element("path", { class: kind, d: text, stroke: color(one.line), "stroke-dasharray": dash(one.line) });
  }

  band(one) {
    const floor = this.bounds.low;
    const side = (values) => values.map((y, i) =>
      `${this.x(one.x[i]).toFixed(1)} ${this.y(y === null ? one.y[i] : this.panel.log ? Math.max(y, floor) : y).toFixed(1)}`);
    return element("path", { class: "band", fill: color(one.line),
      d: `M${side(one.high).join("L")}L${side(one.low).reverse().join("L")}Z` });
  }

  // What lies under the pointer, in every chart.
  mark() {
    this.over.replaceChildren();
    this.reading.replaceChildren();
    if (this.from != null && this.to != null) {
      this.over.append(element("rect", { class: "select", x: Math.min(this.from, this.to), y: TOP,
        width: Math.abs(this.to - this.from), height: HEIGHT - TOP - BOTTOM }));
    }
    const { first, last } = this.bounds;
    if (pointed === null || pointed < first || pointed > last) return;
    this.over.append(element("line", { class: "cross", x1: this.x(pointed), x2: this.x(pointed), y1: TOP,
      y2: HEIGHT - BOTTOM }));
    this.reading.append(element("span", { class: "soft" }, `step ${steps(pointed)}`));
    for (const one of this.shown("curves")) {
      const i = nearest(one.x, pointed), y = one.y[i];
      if (y === null) continue;
      if (!this.panel.log || y > 0) {
        this.over.append(element("circle", { cx: this.x(one.x[i]), cy: this.y(y), r: 3.5, fill: color(one.line) }));
      }
      const between = one.low ? ` [${number(one.low[i])}, ${number(one.high[i])}]` : "";
      this.reading.append(element("span", { style: `color: ${color(one.line)}` }, number(y) + between));
    }
  }

  pixel(event) {
    const box = this.svg.getBoundingClientRect();
    return Math.min(Math.max(((event.clientX - box.left) / box.width) * this.width, LEFT), this.width - RIGHT);
  }

  press(event) {
    this.from = this.pixel(event);
    this.to = null;
    this.svg.setPointerCapture(event.pointerId);
    point(this.step(this.from));
  }

  move(event) {
    if (this.from != null) this.to = this.pixel(event);
    point(this.step(this.pixel(event)));
  }

  release() {
    const [from, to] = [this.from, this.to];
    this.from = this.to = null;
    if (to != null && Math.abs(to - from) > 8) zoom([this.step(Math.min(from, to)), this.step(Math.max(from, to))]);
    else this.mark();
  }

  key(event) {
    const { first, last } = this.bounds, way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") zoom(null);
    if (!way) return;
    event.preventDefault();
    point(Math.min(Math.max((pointed ?? first) + (way * (last - first)) / 50, first), last));
  }
}

function nearest(xs, x) {
  let low = 0, high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle; else high = middle;
  }
  return Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high;
}

function point(step) {
  pointed = step;
  charts.forEach((chart) => chart.mark());
}

function zoom(to) {
  range = to;
  drawAll();
}

function drawAll() {
  document.getElementById("all").hidden = range === null;
  charts.forEach((chart) => chart.draw());
}
