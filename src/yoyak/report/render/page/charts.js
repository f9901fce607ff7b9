"use strict";
// The charts of lines, drawn by uPlot; and every chart as a picture or a table.
//
// Data: the block "chart-points" (report/render/charts.py, PlotPoints); titles and names stand in
// the figures, in the language of the content. A live page calls
//
//   yoyakCharts.update(points)  points: [{chart, run, x, y, low?, high?}, …], such as
//                               {chart: "loss", run: "261126-0902-kobart-12ab", x: 120, y: 2.31};
//                               charts by their key ("dev-rouge-1" is part 1); y and its bounds as
//                               drawn (ROUGE 0–100). Appends, or replaces the point at the same x
//                               and those after it. Returns the points that have no line yet: a new
//                               run or chart, for which the content has to be fetched anew.
//   yoyakCharts.load(points)    puts all points in place of the block's, after new content.
//
// Hidden systems, smoothing and scales are kept over both.
const yoyakCharts = (() => {
  const { csv, find, save } = yoyakPage;
  const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
  const HEIGHT = 230;
  const [PAPER_WIDTH, PAPER_HEIGHT] = [400, 210];
  const SVG = "http://www.w3.org/2000/svg";
  const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000];
  const WEIGHT_LIMIT = 0.99;

  let store = new Map(); // the lines of each chart, by its id
  const hidden = new Set(); // ids of runs
  const choices = new Map(); // by id of a chart: { smooth, log, range }
  let plots = new Map(); // mounted, by id of the chart

  const choice = (id) => {
    if (!choices.has(id)) choices.set(id, { smooth: 0, log: false, range: null });
    return choices.get(id);
  };

  // A CSS value as it is on the screen, or on white paper.
  function ink(value, paper = false) {
    const name = /^var\((.*)\)$/.exec(value);
    if (!name) return value;
    const probe = paper ? document.getElementById("paper") : document.documentElement;
    return getComputedStyle(probe).getPropertyValue(name[1]).trim();
  }

  function load(points) {
    store = new Map();
    for (const [id, lines] of Object.entries(points?.plots ?? {})) {
      const column = (place) => (place === undefined || place === null ? null : [...points.columns[place]]);
      store.set(id, lines.map((line) => ({
        ...line, x: column(line.x), y: column(line.y), low: column(line.low), high: column(line.high),
      })));
    }
  }

  const number = (value) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 1e-3 || size >= 1e6) return value.toExponential(2).replace("e+", "e");
    return String(Number(value.toPrecision(size >= 1000 ? 6 : 4)));
  };
  // In the time zone in which the page was written, as its texts are: `offset` seconds from UTC.
  const moment = (seconds, offset, short) => {
    const two = (one) => String(one).padStart(2, "0");
    const at = new Date(1000 * (seconds + offset));
    const clock = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
    return short ? `${clock}:${two(at.getUTCSeconds())}` : `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())} ${clock}`;
  };

  // The exponential moving average, without the pull of its start to zero; gaps stay gaps.
  function smoothed(values, weight) {
    let [sum, share] = [0, 0];
    return values.map((value) => {
      if (value === null || value === undefined) return value;
      sum = weight * sum + (1 - weight) * value;
      share = weight * share + (1 - weight);
      return sum / share;
    });
  }

  // The place of the value in `across` that is nearest to `x`.
  function nearest(across, x) {
    let [low, high] = [0, across.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (across[middle] <= x) low = middle;
      else high = middle;
    }
    return x - across[low] <= across[high] - x ? low : high;
  }

  class Plot {
    constructor(figure) {
      this.figure = figure;
      this.id = figure.dataset.chart;
      this.box = figure.querySelector(".plot");
      this.title = figure.querySelector("figcaption").textContent;
      this.names = find(".legend li", figure).map((one) => one.textContent.trim());
      this.ticks = [[], []];
      this.draw();
    }

    get lines() {
      return store.get(this.id).map((line, place) => ({ ...line, name: this.names[place] }));
    }

    get shown() {
      return this.lines.filter((line) => !hidden.has(line.run) && line.x.length > 0);
    }

    get isTime() {
      return this.box.dataset.kind === "time";
    }

    get offset() {
      return Number(this.box.dataset.offset);
    }

    // What uPlot draws: tables of [x, y …] with one x each, and a series for every y.
    content(paper) {
      const { smooth, log } = choice(this.id);
      const positive = (values) => (log ? values.map((one) => (one > 0 ? one : null)) : values);
      const [tables, series, bands] = [[], [{}], []];
      const paths = "stepped" in this.box.dataset ? uPlot.paths.stepped({ align: 1 }) : undefined;
      const add = (line, values, look) => {
        tables[tables.length - 1].push(positive(values));
        series.push({ label: line.name, spanGaps: false, paths, ...(paths && { points: { show: false } }), ...look });
      };
      for (const line of this.shown) {
        tables.push([line.x]);
        const stroke = ink(line.colour, paper);
        const dash = DASHES[(line.dash ?? 0) % DASHES.length];
        add(line, line.y, { stroke, dash, width: 1.75, alpha: smooth ? 0.3 : 1, line });
        if (smooth) {
          add(line, smoothed(line.y, smooth), { stroke, dash, width: 2, points: { show: false } });
        }
        if (line.low) {
          const bound = { stroke: "transparent", width: 0, points: { show: false }, isBound: true };
          add(line, line.high, bound);
          add(line, line.low, bound);
          bands.push({ series: [series.length - 2, series.length - 1], fill: `${stroke}22` });
        }
      }
      const data = tables.length ? uPlot.join(tables) : [[]];
      return { data, series, bands };
    }

    draw() {
      this.drawn?.destroy();
      const { data, series, bands } = this.content(false);
      const { log, range } = choice(this.id);
      const font = "12px system-ui, sans-serif";
      const axis = (place, label) => ({
        stroke: ink("var(--quiet)"), font, labelFont: font, label: label || undefined, labelSize: label ? 18 : 0, labelGap: 0,
        grid: { stroke: ink("var(--line)"), width: 1 }, ticks: { stroke: ink("var(--line)"), width: 1, size: 4 },
        values: (plot, splits) => {
          const short = this.isTime && plot.scales.x.max - plot.scales.x.min < 900;
          const name = (one) => (one === null ? "" : place === 0 && this.isTime ? moment(one, this.offset, short) : number(one));
          this.ticks[place] = splits.map((one) => [one, name(one)]);
          return this.ticks[place].map((one) => one[1]);
        },
      });
      const whole = "whole" in this.box.dataset ? { incrs: WHOLE } : {};
      const x = { ...axis(0, this.box.dataset.x), ...whole, size: 26, space: this.isTime ? 90 : 50 };
      const y = {
        ...axis(1, this.box.dataset.y), space: 32,
        size: (plot, values) => {
          plot.ctx.save();
          plot.ctx.font = font;
          const widths = (values ?? []).map((one) => plot.ctx.measureText(one).width);
          plot.ctx.restore();
          return 13 + Math.max(14, ...widths);
        },
      };
      const options = {
        width: this.width, height: HEIGHT, series, bands, axes: [x, y], legend: { show: false },
        scales: { x: { time: false }, y: { distr: log ? 3 : 1 } },
        cursor: { drag: { x: true, y: false }, sync: { key: this.box.dataset.sync }, points: { show: false }, y: false },
        padding: [8, 14, 0, 0],
        hooks: {
          setCursor: [(plot) => this.hover(plot)],
          setScale: [(plot, key) => key === "x" && this.zoomed(plot)],
        },
      };
      this.drawn = new uPlot(options, data, this.box);
      if (range) this.drawn.setScale("x", { min: range[0], max: range[1] });
    }

    get width() {
      return Math.max(this.box.clientWidth, 200);
    }

    zoomed(plot) {
      const across = plot.data[0];
      const { min, max } = plot.scales.x;
      const isWhole = !across.length || (min <= across[0] && max >= across[across.length - 1]);
      choice(this.id).range = isWhole ? null : [min, max];
      const reset = this.figure.querySelector("[data-tool=reset]");
      if (reset) reset.hidden = isWhole;
    }

    hover(plot) {
      const { left, top } = plot.cursor;
      if (left < 0 || !(this.box.matches(":hover") || this.box === document.activeElement)) {
        if (yoyakPage.tip.owner === this) yoyakPage.tip.hide();
        return;
      }
      const x = plot.posToVal(left, "x");
      const rows = this.shown.map((line) => {
        const at = nearest(line.x, x);
        const bounds = line.low ? ` (${number(line.low[at])}–${number(line.high[at])})` : "";
        return [line.colour, line.name, `${number(line.y[at])}${bounds}`, line.x[at]];
      });
      if (!rows.length) return;
      const at = rows.reduce((best, row) => (Math.abs(row[3] - x) < Math.abs(best - x) ? row[3] : best), rows[0][3]);
      const head = this.isTime ? moment(at, this.offset, true) : `${this.box.dataset.x} ${number(at)}`;
      const place = plot.over.getBoundingClientRect();
      yoyakPage.tip.show(this, place.left + left, place.top + Math.max(top, 0), head, rows);
    }

    // The keyboard's way to what the pointer sees: arrows move, + comes closer, Escape goes back.
    key(event) {
      const plot = this.drawn;
      const across = this.shown[0]?.x ?? [];
      if (!across.length) return;
      const { min, max } = plot.scales.x;
      const now = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : min;
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        const at = nearest(across, now);
        const to = plot.cursor.left < 0 ? at : Math.min(Math.max(at + (event.key === "ArrowLeft" ? -1 : 1), 0), across.length - 1);
        plot.setCursor({ left: plot.valToPos(across[to], "x"), top: plot.over.clientHeight / 2 });
      } else if (event.key === "+") {
        plot.setScale("x", { min: now - (now - min) / 2, max: now + (max - now) / 2 });
      } else if (event.key === "Escape") {
        this.reset();
        plot.setCursor({ left: -10, top: -10 });
      } else return;
      event.preventDefault();
    }

    // The whole range, here and in the charts that were zoomed with this one.
    reset() {
      for (const plot of plots.values()) {
        const across = plot.drawn.data[0];
        if (plot.box.dataset.sync !== this.box.dataset.sync || !across.length) continue;
        plot.drawn.setScale("x", { min: across[0], max: across[across.length - 1] });
      }
    }

    refresh() {
      const { range } = choice(this.id);
      this.drawn.setData(this.content(false).data, range === null);
      if (range) this.drawn.redraw();
    }

    // Draws at once at another size; without one, at that of the page.
    resize(width = this.width, height = HEIGHT) {
      this.drawn.batch(() => this.drawn.setSize({ width, height }));
    }

    // The chart as it is on the screen, in the colours of paper; on paper its title stands above.
    svg({ title = true } = {}) {
      const plot = this.drawn;
      const ratio = uPlot.pxRatio;
      const box = Object.fromEntries(Object.entries(plot.bbox).map(([key, value]) => [key, value / ratio]));
      const head = title ? 24 : 8;
      const places = legend(this.shown.map((line) => line.name), box.width);
      const made = new Picture(plot.width, plot.height + head + 22 + 16 * (places.at(-1)?.row ?? 0));
      const [left, top] = [box.left, box.top + head];
      if (title) made.text(0, 14, this.title, { weight: 600 });
      const place = (value, scale) => plot.valToPos(value, scale);
      for (const [value, label] of this.ticks[0]) {
        const x = left + place(value, "x");
        if (value === null || x < left - 1 || x > left + box.width + 1) continue;
        made.line([[x, top], [x, top + box.height]], "#d8dee5", 1);
        made.text(x, top + box.height + 16, label, { anchor: "middle", size: 11 });
      }
      for (const [value, label] of this.ticks[1]) {
        if (value === null) continue;
        const y = top + place(value, "y");
        if (y < top - 1 || y > top + box.height + 1) continue;
        made.line([[left, y], [left + box.width, y]], "#d8dee5", 1);
        made.text(left - 6, y + 4, label, { anchor: "end", size: 11 });
      }
      made.text(left + box.width / 2, top + box.height + 32, this.box.dataset.x, { anchor: "middle", size: 11 });
      made.text(left, top - 2, this.box.dataset.y, { size: 11 });
      const { smooth, log } = choice(this.id);
      const { min, max } = plot.scales.x;
      const isStepped = "stepped" in this.box.dataset;
      const path = (across, up) => {
        const runs = [[]];
        up.forEach((value, at) => {
          if (value === null || (log && value <= 0)) runs.push([]);
          else if (across[at] >= min && across[at] <= max) {
            const point = [left + place(across[at], "x"), top + place(value, "y")];
            const last = runs[runs.length - 1];
            if (isStepped && last.length) last.push([point[0], last[last.length - 1][1]]);
            last.push(point);
          }
        });
        return runs.filter((run) => run.length);
      };
      this.shown.forEach((line, order) => {
        const colour = ink(line.colour, true);
        const dash = DASHES[(line.dash ?? 0) % DASHES.length];
        if (line.low) {
          const [upper] = path(line.x, line.high);
          const [lower] = path(line.x, line.low);
          if (upper && lower) made.area([...upper, ...lower.reverse()], colour);
        }
        for (const run of path(line.x, line.y)) made.line(run, colour, 1.75, dash, smooth ? 0.3 : 1);
        if (smooth) for (const run of path(line.x, smoothed(line.y, smooth))) made.line(run, colour, 2, dash);
        const [x, y] = [left + places[order].left, top + box.height + 48 + 16 * places[order].row];
        made.line([[x, y - 4], [x + 14, y - 4]], colour, 3, dash);
        made.text(x + 18, y, line.name, { size: 11 });
      });
      return made;
    }

    csv() {
      const columns = [];
      const tables = this.lines.filter((line) => line.x.length).map((line) => {
        columns.push(line.name, ...(line.low ? [`${line.name} low`, `${line.name} high`] : []));
        return [line.x, line.y, ...(line.low ? [line.low, line.high] : [])];
      });
      const head = this.isTime ? "time" : this.box.dataset.x;
      const [across, ...rest] = uPlot.join(tables);
      return csv([[head, ...columns], ...across.map((x, at) => [x, ...rest.map((column) => column[at])])]);
    }
  }

  // Where the names of a legend stand: one after the other, in as many rows as they need.
  function legend(names, width) {
    let [left, row] = [0, 0];
    return names.map((name) => {
      const wide = 30 + [...name].reduce((sum, letter) => sum + (letter.charCodeAt(0) > 0x1100 ? 11 : 6.5), 0);
      if (left > 0 && left + wide > width) [left, row] = [0, row + 1];
      const place = { left, row };
      left += wide;
      return place;
    });
  }

  // An SVG picture on white, built element by element: names in it are text.
  class Picture {
    constructor(width, height) {
      this.root = document.createElementNS(SVG, "svg");
      [this.width, this.height] = [Math.ceil(width), Math.ceil(height)];
      this.set(this.root, { xmlns: SVG, viewBox: `0 0 ${this.width} ${this.height}`, width: this.width, height: this.height, "font-family": "sans-serif" });
      this.add("rect", { width: this.width, height: this.height, fill: "#ffffff" });
    }

    set(element, attributes) {
      for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
    }

    add(name, attributes, text) {
      const made = document.createElementNS(SVG, name);
      this.set(made, attributes);
      if (text !== undefined) made.textContent = text;
      this.root.append(made);
      return made;
    }

    text(x, y, words, { anchor, size = 13, weight, fill = "#1b1f24" } = {}) {
      if (words) this.add("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor, "font-size": size, "font-weight": weight, fill }, words);
    }

    line(points, stroke, width, dash = [], opacity = 1) {
      const d = points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
      if (points.length === 1) this.add("circle", { cx: points[0][0].toFixed(1), cy: points[0][1].toFixed(1), r: 3, fill: stroke });
      else this.add("path", { d, fill: "none", stroke, "stroke-width": width, "stroke-dasharray": dash.join(" ") || undefined, "stroke-opacity": opacity });
    }

    area(points, fill) {
      this.add("path", { d: `${points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("")}Z`, fill, "fill-opacity": 0.13 });
    }

    get source() {
      return new XMLSerializer().serializeToString(this.root);
    }
  }

  // Tracks and heat maps as a picture: their boxes and words where the browser has put them.
  function pictured(figure) {
    const table = figure.querySelector("table");
    figure.classList.add("light");
    const from = table.getBoundingClientRect();
    const made = new Picture(from.width + 16, from.height + 44);
    made.text(8, 18, figure.querySelector("figcaption").textContent, { weight: 600 });
    const [left, top] = [from.left - 8, from.top - 32];
    for (const one of find("td, i, .swatch", table)) {
      const look = getComputedStyle(one);
      const at = one.getBoundingClientRect();
      const isClear = /^(transparent|rgba\(.*, 0\))$/.test(look.backgroundColor);
      const border = parseFloat(look.borderTopWidth) && one.tagName === "I" ? look.borderTopColor : undefined;
      if (isClear && !border) continue;
      const round = look.borderTopLeftRadius.endsWith("%") ? at.width / 2 : parseFloat(look.borderTopLeftRadius) || 0;
      made.add("rect", {
        x: (at.left - left).toFixed(1), y: (at.top - top).toFixed(1), width: at.width.toFixed(1), height: at.height.toFixed(1), rx: round,
        fill: isClear ? "none" : look.backgroundColor, stroke: border, "stroke-width": border ? 2 : undefined, opacity: look.opacity,
      });
    }
    const words = document.createTreeWalker(table, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
      const text = words.currentNode.textContent.trim();
      const range = document.createRange();
      range.selectNodeContents(words.currentNode);
      const [at] = range.getClientRects();
      if (!text || !at || words.currentNode.parentElement.closest(".hidden")) continue;
      const look = getComputedStyle(words.currentNode.parentElement);
      made.text(at.left - left, at.bottom - top - at.height * 0.25, text, { size: parseFloat(look.fontSize), weight: look.fontWeight, fill: look.color });
    }
    figure.classList.remove("light");
    return made;
  }

  function tabled(figure) {
    const table = figure.querySelector("table");
    const head = JSON.parse(table.dataset.columns);
    const rows = find("tr[data-figures]", table).map((row) => JSON.parse(row.dataset.figures));
    return csv([head, ...rows]);
  }

  async function png(picture) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(picture.source)}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [2 * picture.width, 2 * picture.height];
    const context = canvas.getContext("2d");
    context.scale(2, 2);
    context.drawImage(image, 0, 0, picture.width, picture.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }

  async function saved(figure, kind) {
    const id = figure.dataset.chart;
    const plot = figure.querySelector(".plot") ? mounted(figure) : null;
    if (kind === "csv") save(`${id}.csv`, "text/csv", plot ? plot.csv() : tabled(figure));
    else {
      const picture = plot ? plot.svg() : pictured(figure);
      if (kind === "svg") save(`${id}.svg`, "image/svg+xml", picture.source);
      else save(`${id}.png`, "image/png", await png(picture));
    }
  }

  function mounted(figure) {
    const id = figure.dataset.chart;
    if (!plots.has(id)) plots.set(id, new Plot(figure));
    return plots.get(id);
  }

  // --- the page

  const ofFigure = (element) => element.closest("figure[data-chart]");

  function pressed() {
    for (const button of find(".legend button")) button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.run)));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".legend button, .tools button");
    if (!button) return;
    const figure = ofFigure(button);
    const { run, save: kind, tool } = button.dataset;
    if (run !== undefined) {
      if (!hidden.delete(run)) hidden.add(run);
      pressed();
      for (const plot of plots.values()) plot.draw();
    } else if (kind) saved(figure, kind);
    else if (tool === "reset") mounted(figure).reset();
  });

  document.addEventListener("input", (event) => {
    const { tool } = event.target.dataset;
    if (tool !== "smooth" && tool !== "log") return;
    const plot = mounted(ofFigure(event.target));
    if (tool === "smooth") choice(plot.id).smooth = Math.min(Number(event.target.value), WEIGHT_LIMIT);
    else choice(plot.id).log = event.target.checked;
    plot.draw();
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.classList?.contains("plot")) mounted(ofFigure(event.target)).key(event);
  });

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      mounted(ofFigure(entry.target));
    }
  }, { rootMargin: "500px" });

  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const plot = plots.get(ofFigure(target)?.dataset.chart);
      if (plot?.box === target && plot.drawn.width !== plot.width) plot.resize();
    }
  });

  function mount() {
    seen.disconnect();
    resized.disconnect();
    for (const plot of plots.values()) plot.drawn.destroy();
    plots = new Map();
    for (const box of find("figure[data-chart] .plot")) {
      const figure = ofFigure(box);
      if (!store.has(figure.dataset.chart)) continue;
      const { smooth, log } = choice(figure.dataset.chart);
      for (const input of find("[data-tool=smooth]", figure)) input.value = smooth;
      for (const input of find("[data-tool=log]", figure)) input.checked = log;
      seen.observe(box);
      resized.observe(box);
    }
    pressed();
  }

  // On paper a chart is drawn as lines, not as dots of the screen.
  window.addEventListener("beforeprint", () => {
    for (const box of find("figure[data-chart] .plot")) {
      if (!store.has(ofFigure(box).dataset.chart)) continue;
      const plot = mounted(ofFigure(box));
      plot.resize(PAPER_WIDTH, PAPER_HEIGHT);
      box.querySelector(":scope > svg")?.remove();
      box.append(plot.svg({ title: false }).root);
    }
  });
  window.addEventListener("afterprint", () => {
    for (const picture of find("figure[data-chart] .plot > svg")) picture.remove();
    for (const plot of plots.values()) plot.resize();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const plot of plots.values()) plot.draw();
  });

  function update(points) {
    const [unknown, changed] = [[], new Set()];
    for (const point of points) {
      const line = store.get(point.chart)?.find((one) => one.run === point.run);
      if (!line) {
        unknown.push(point);
        continue;
      }
      let at = line.x.length;
      while (at > 0 && line.x[at - 1] >= point.x) at -= 1;
      for (const key of ["x", "y", "low", "high"]) {
        if (line[key]) line[key].splice(at, Infinity, point[key] ?? null);
      }
      changed.add(point.chart);
    }
    for (const id of changed) plots.get(id)?.refresh();
    return unknown;
  }

  load(yoyakPage.data("chart-points"));
  document.addEventListener("yoyak:content", mount);
  return { load, update };
})();
