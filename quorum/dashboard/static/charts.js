"use strict";
// Series with uPlot, candles with lightweight-charts, in the colours of the page.
const quorumCharts = (() => {
  const drawn = [];
  const css = quorum.css;

  // How uPlot writes times, by the step between two marks: hours go to 24.
  const STAMPS = [
    [31536000, "{YYYY}", null, null, null, null, null, null, 1],
    [2419200, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  ];

  function lines(box) {
    const data = JSON.parse(box.dataset.lines);
    const font = `11px ${css("--sans")}`;
    const axis = { stroke: css("--soft"), font, grid: { stroke: css("--rule"), width: 1 }, ticks: { stroke: css("--rule"), width: 1 } };
    const written = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(2)}${data.suffix}`);
    const series = data.names.map((name, i) => {
      const colour = css(`--${data.colours[i]}`);
      const fill = data.names.length === 1 || data.band ? undefined : `color-mix(in srgb, ${colour} 18%, transparent)`;
      return { label: name, stroke: colour, width: 1.4, fill, value: (_, v) => written(v), points: { show: data.time.length < 3 } };
    });
    const options = {
      width: box.clientWidth,
      height: Math.max(120, data.height - 34),
      series: [{ value: (_, t) => (t ? new Date(t * 1000).toISOString().slice(0, 16).replace("T", " ") : "–") }, ...series],
      axes: [{ ...axis, values: STAMPS, space: 64 }, { ...axis, size: 66, values: (_, ticks) => ticks.map((t) => `${+t.toFixed(6)}${data.suffix}`) }],
      bands: data.band ? [{ series: [1, 2], fill: `color-mix(in srgb, ${css("--good")} 14%, transparent)` }] : [],
      cursor: { drag: { x: false, y: false } },
      tzDate: (t) => uPlot.tzDate(new Date(t * 1000), "UTC"),
    };
    const plot = new uPlot(options, [data.time, ...data.values], box);
    box.dataset.drawn = "yes";
    return { box, resize: () => plot.setSize({ width: box.clientWidth, height: options.height }), remove: () => plot.destroy() };
  }

  function candles(box) {
    const data = JSON.parse(box.dataset.chart);
    const L = LightweightCharts;
    const up = css("--good"), down = css("--bad");
    const chart = L.createChart(box, {
      autoSize: true,
      layout: { background: { color: css("--paper") }, textColor: css("--soft"), fontFamily: css("--sans") || "sans-serif", attributionLogo: true },
      grid: { vertLines: { color: css("--rule") }, horzLines: { color: css("--rule") } },
      timeScale: { timeVisible: true, secondsVisible: false, borderColor: css("--rule") },
      rightPriceScale: { borderColor: css("--rule") },
      handleScroll: { vertTouchDrag: false },
    });
    const prices = data.candles.map((row) => row[4]);
    const digits = Math.max(2, Math.min(8, 5 - Math.floor(Math.log10(Math.max(...prices)))));
    const series = chart.addSeries(L.CandlestickSeries, {
      upColor: up, wickUpColor: up, borderUpColor: up, downColor: down, wickDownColor: down, borderDownColor: down,
      priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits }, priceLineVisible: false,
    });
    series.setData(data.candles.map(([time, open, high, low, close]) => ({ time, open, high, low, close })));
    for (const line of data.lines ?? [])
      series.createPriceLine({ price: line.price, title: line.label, color: css(`--${line.tone}`), lineWidth: 1, lineStyle: line.tone === "ink" ? 0 : 2 });
    const first = data.candles[0][0], last = data.candles.at(-1)[0];
    const marks = (data.marks ?? []).filter((m) => m.time >= first && m.time <= last).sort((a, b) => a.time - b.time);
    L.createSeriesMarkers(series, marks.map((m) => ({
      time: m.time, text: m.text, color: m.entry ? css("--ink") : css("--soft"),
      position: m.up ? "belowBar" : "aboveBar", shape: m.entry ? (m.up ? "arrowUp" : "arrowDown") : "circle",
    })));
    chart.timeScale().fitContent();
    box.dataset.drawn = "yes";
    return { box, resize: () => {}, remove: () => chart.remove() };
  }

  function draw(within = document) {
    for (const box of within.querySelectorAll("[data-lines]:not([data-drawn])")) drawn.push(lines(box));
    for (const box of within.querySelectorAll("[data-chart]:not([data-drawn])")) drawn.push(candles(box));
  }

  function forget(keep = () => false) {
    for (const chart of drawn.splice(0)) {
      if (keep(chart.box)) { drawn.push(chart); continue; }
      chart.remove();
      delete chart.box.dataset.drawn;
    }
  }

  addEventListener("resize", () => drawn.forEach((chart) => chart.resize()));
  document.addEventListener("quorum-theme", () => { forget(); draw(); });
  return { draw, forget };
})();
