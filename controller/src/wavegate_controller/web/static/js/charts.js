// Charts that can be read to the point, in the viewer's zone: uPlot over what the controller has drawn as SVG, which stays
// for those without scripts. Colours are those of the page.

const drawn = new WeakMap();
const TOP = 30;

export function drawCharts(root) {
  if (!window.uPlot) {
    return;
  }
  for (const place of root.querySelectorAll("[data-chart]")) {
    const known = drawn.get(place);
    if (known?.text === place.dataset.chart && place.contains(known.plot.root)) {
      continue;
    }
    known?.plot.destroy();
    const plot = draw(place, { ...JSON.parse(place.dataset.chart), bare: place.dataset.bare }, Number(place.dataset.height));
    drawn.set(place, { plot, text: place.dataset.chart });
    widths.observe(place);
  }
}

const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const { plot } = drawn.get(target) ?? {};
    if (plot && plot.width !== target.clientWidth && target.clientWidth > 0) {
      plot.setSize({ width: target.clientWidth, height: plot.height });
    }
  }
});

function draw(place, chart, height) {
  const style = getComputedStyle(place);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const { data, series, bands } = columns(chart, colour);
  const top = chart.bare === "marks" ? 8 : TOP;
  const times = chart.bare === "times" ? 4 : 22;
  const axis = { stroke: colour("ink-soft"), font: `11px ${style.fontFamily}`, ticks: { show: false }, border: { show: false } };
  return new uPlot(
    {
      width: place.clientWidth || 400,
      height: height + top + times,
      padding: [top, 24, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { range: () => [chart.from, chart.to] }, y: { range: () => [chart.low, chart.high] } },
      axes: [
        { ...axis, grid: { show: false }, size: times, space: 80, values: times > 4 ? clockTimes : () => [] },
        { ...axis, grid: { stroke: colour("line"), width: 1 }, size: 40, splits: () => chart.ticks ?? [chart.low, (chart.low + chart.high) / 2, chart.high], values: (_, all) => all.map((each) => number(each, chart)) },
      ],
      series,
      bands,
      hooks: { drawClear: [(plot) => drawBehind(plot, chart, colour)], draw: [(plot) => drawMarks(plot, chart, colour, style)], setCursor: [tip(place, chart)] },
    },
    data,
    place,
  );
}

/** uPlot wants one column of times for all lines; an interval is two lines with what is between them filled. */
function columns(chart, colour) {
  const tables = [];
  const series = [{}];
  const bands = [];
  for (const line of chart.lines) {
    const stroke = colour(line.role === "stable" ? "series-stable" : "accent");
    tables.push([line.at, line.value]);
    series.push({ label: line.name, stroke, width: 2, dash: line.role === "stable" ? [5, 3] : undefined, points: { show: line.at.length < 60, size: 4 }, spanGaps: false });
    if (line.role === "candidate" && line.low.some((each) => each !== null)) {
      tables.push([line.at, line.high.map((each) => clip(each, chart))], [line.at, line.low]);
      const edge = { stroke: "transparent", width: 0, points: { show: false }, isEdge: true };
      series.push(edge, { ...edge });
      bands.push({ series: [series.length - 2, series.length - 1], fill: withAlpha(stroke, 0.18) });
    }
  }
  const joined = tables.length ? uPlot.join(tables) : [[]];
  return { data: joined, series, bands };
}

/** As it is said; of a logarithmic chart the number whose power it is. */
function number(value, chart) {
  const meant = chart.logarithmic ? 10 ** value : value;
  return String(Number(meant.toPrecision(3)));
}

const clip = (value, chart) => (value === null ? null : Math.min(value, chart.high));

function withAlpha(hex, alpha) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
function clockTimes(plot, splits) {
  const { min, max } = plot.scales.x;
  return splits.map((each) => (max - min > 86400 ? DAY : CLOCK).format(new Date(1000 * each)));
}

/** Behind the lines: times without a measurement, and the area that must not be entered. */
function drawBehind(plot, chart, colour) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = withAlpha(colour("line-strong"), 0.3);
  for (const band of chart.bands) {
    const left = across(plot, Math.max(band.from, chart.from));
    ctx.fillRect(left, bbox.top, across(plot, Math.min(band.to, chart.to)) - left, bbox.height);
  }
  if (chart.limit) {
    const at = plot.valToPos(chart.limit.value, "y", true);
    ctx.fillStyle = colour("bad-soft");
    ctx.globalAlpha = 0.7;
    ctx.fillRect(bbox.left, chart.limit.above ? bbox.top : at, bbox.width, chart.limit.above ? at - bbox.top : bbox.top + bbox.height - at);
  }
  ctx.restore();
}

const across = (plot, at) => plot.valToPos(at, "x", true);

/** Over the lines: the limit, and what moved the rollout. */
function drawMarks(plot, chart, colour, style) {
  const { ctx, bbox } = plot;
  const pixel = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * pixel}px ${style.fontFamily}`;
  if (chart.limit) {
    const at = plot.valToPos(chart.limit.value, "y", true);
    ctx.strokeStyle = ctx.fillStyle = colour("bad");
    ctx.lineWidth = 1.5 * pixel;
    ctx.setLineDash([2 * pixel, 3 * pixel]);
    ctx.textAlign = "left";
    stroke(ctx, bbox.left, at, bbox.left + bbox.width, at);
    ctx.fillText(chart.limit.label, bbox.left + 6 * pixel, at - bbox.top > 16 * pixel ? at - 4 * pixel : at + 13 * pixel);
  }
  for (const mark of chart.marks) {
    const at = across(plot, mark.at);
    const top = bbox.top - (26 - 12 * mark.lane) * pixel;
    ctx.strokeStyle = ctx.fillStyle = colour({ good: "good", bad: "bad" }[mark.tone] ?? "ink-soft");
    ctx.lineWidth = pixel;
    ctx.setLineDash(mark.tone === "calm" ? [3 * pixel, 3 * pixel] : []);
    if (chart.bare === "marks") {
      stroke(ctx, at, bbox.top, at, bbox.top + bbox.height);
      continue;
    }
    stroke(ctx, at, top + 12 * pixel, at, bbox.top + bbox.height);
    const share = (at - bbox.left) / bbox.width;
    ctx.textAlign = share > 0.85 ? "right" : share > 0.05 ? "center" : "left";
    ctx.fillText(mark.label, at, top + 10 * pixel);
  }
  ctx.restore();
}

function stroke(ctx, fromX, fromY, toX, toY) {
  ctx.beginPath();
  ctx.moveTo(fromX, fromY);
  ctx.lineTo(toX, toY);
  ctx.stroke();
}

/** What was measured where the pointer is. */
function tip(place, chart) {
  const box = document.createElement("div");
  box.className = "u-tip";
  box.hidden = true;
  place.append(box);
  return (plot) => {
    const { idx, left } = plot.cursor;
    if (idx === null || idx === undefined || left < 0) {
      box.hidden = true;
      return;
    }
    const said = plot.series.flatMap((series, index) => {
      const value = plot.data[index][idx];
      return index === 0 || series.isEdge || value === null || value === undefined ? [] : [`${series.label} ${number(value, chart)}`];
    });
    box.textContent = `${CLOCK.format(new Date(1000 * plot.data[0][idx]))}  ${said.join(" · ")}`;
    box.hidden = said.length === 0;
    box.style.top = "2px";
    box.style.left = `${Math.min(left + 50, place.clientWidth - box.offsetWidth)}px`;
  };
}

function redraw() {
  for (const place of document.querySelectorAll("[data-chart]")) {
    drawn.get(place)?.plot.destroy();
    drawn.delete(place);
  }
  drawCharts(document);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
