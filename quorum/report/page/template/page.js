"use strict";
// Themes, charts drawn when they come near, one table of several at a time.
const quorum = (() => {
  const root = document.documentElement;
  const remembered = (() => { try { return localStorage.getItem("quorum-theme"); } catch { return null; } })();
  const system = matchMedia("(prefers-color-scheme: dark)");
  // Figures come in the light colours.
  const DARK = { "#0072B2": "#5AB4E8", "#D55E00": "#F08A4B", "#8A8F98": "#8B939C", "#009E73": "#3CC79B", "#CC79A7": "#E29CC3" };
  const figures = JSON.parse(document.getElementById("figures")?.textContent ?? "{}");
  const drawn = new Set();
  let chosen = remembered;
  const dark = () => root.dataset.theme === "dark";
  const applyTheme = () => { root.dataset.theme = chosen || (system.matches ? "dark" : "light"); };
  applyTheme();

  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  function axis(given, narrow) {
    const own = { ...given };
    own.gridcolor = css("--rule");
    own.linecolor = css("--faint");
    own.zerolinecolor = css("--faint");
    own.zerolinewidth = 1;
    own.zeroline = own.zeroline ?? false;
    own.tickcolor = css("--faint");
    own.automargin = true;
    own.fixedrange = true;
    if (own.title && own.title.text) own.title = { text: own.title.text, standoff: 8, font: { size: 12, color: css("--soft") } };
    if (narrow && own.nticks) own.nticks = 3;
    return own;
  }

  function themed(name) {
    let text = JSON.stringify(figures[name]);
    if (dark()) text = text.replace(/#(0072B2|D55E00|8A8F98|009E73|CC79A7)/g, (hex) => DARK[hex]).replace(/rgba\((\d+), (\d+), (\d+), /g, (all, r, g, b) => {
      const hex = DARK["#" + [r, g, b].map((v) => (+v).toString(16).padStart(2, "0").toUpperCase()).join("")];
      return hex ? `rgba(${parseInt(hex.slice(1, 3), 16)}, ${parseInt(hex.slice(3, 5), 16)}, ${parseInt(hex.slice(5), 16)}, ` : all;
    });
    const figure = JSON.parse(text);
    const layout = figure.layout;
    const narrow = innerWidth < 700;
    delete layout.template;
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { family: css("--sans"), size: narrow ? 11 : 12, color: css("--soft") };
    layout.margin = { l: 8, r: 10, t: layout.showlegend || layout.annotations ? 34 : 10, b: 8, pad: 4 };
    layout.legend = { orientation: "h", x: 0, y: 1, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" };
    layout.hoverlabel = { bgcolor: css("--wash"), bordercolor: css("--rule"), font: { color: css("--ink"), family: css("--sans"), size: 12 } };
    layout.dragmode = false;
    for (const key of new Set([...Object.keys(layout), "xaxis", "yaxis"]))
      if (/^[xy]axis/.test(key)) layout[key] = axis(layout[key], narrow);
    for (const shown of layout.annotations || []) { shown.font = { color: css("--ink"), size: 12 }; shown.showarrow = false; }
    return { data: figure.data, layout };
  }

  // The library is five megabytes: it is run when the first chart comes near, not before. It
  // lies in the page, or a server has it.
  let loading = null;
  function library() {
    loading ??= new Promise((loaded) => {
      const kept = document.getElementById("plotly");
      const script = document.createElement("script");
      if (kept.dataset.src) { script.onload = loaded; script.src = kept.dataset.src; } else script.textContent = kept.textContent;
      document.head.append(script);
      if (!kept.dataset.src) loaded();
    });
    return loading;
  }

  function draw(box) {
    drawn.add(box);
    return library().then(() => {
      const { data, layout } = themed(box.dataset.figure);
      return Plotly.react(box, data, layout, { displayModeBar: false, responsive: true });
    }).then(() => { box.dataset.drawn = "yes"; });
  }

  function drawAll() {
    return Promise.all([...document.querySelectorAll(".plot")].filter((box) => !box.closest("[hidden]")).map((box) => (drawn.has(box) ? null : draw(box))));
  }

  function redraw() { applyTheme(); drawn.forEach(draw); document.dispatchEvent(new Event("quorum-theme")); }

  function tabs() {
    for (const group of document.querySelectorAll(".choice")) {
      const buttons = [...group.querySelectorAll("[role=tab]")];
      const panels = [...group.querySelectorAll("[role=tabpanel]")];
      const pick = (i) => {
        buttons.forEach((b, k) => b.setAttribute("aria-selected", String(k === i)));
        panels.forEach((p, k) => { p.hidden = k !== i; });
      };
      buttons.forEach((b, i) => {
        b.addEventListener("click", () => pick(i));
        b.addEventListener("keydown", (event) => {
          const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (!move) return;
          const next = (i + move + buttons.length) % buttons.length;
          pick(next);
          buttons[next].focus();
        });
      });
    }
  }

  function here() {
    const links = new Map([...document.querySelectorAll("nav.top a")].map((a) => [a.hash.slice(1), a]));
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) {
        links.forEach((a) => a.classList.remove("here"));
        links.get(entry.target.id)?.classList.add("here");
      }
    }, { rootMargin: "-20% 0px -70% 0px" });
    document.querySelectorAll("section[id], header[id]").forEach((part) => seen.observe(part));
  }

  function start() {
    document.getElementById("theme").addEventListener("click", () => {
      chosen = dark() ? "light" : "dark";
      try { localStorage.setItem("quorum-theme", chosen); } catch { /* a page from disk may not remember */ }
      redraw();
    });
    system.addEventListener("change", () => { if (!chosen) redraw(); });
    tabs();
    here();
    const near = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) { near.unobserve(entry.target); if (!drawn.has(entry.target)) draw(entry.target); }
    }, { rootMargin: "500px 0px" });
    const watch = () => document.querySelectorAll(".plot").forEach((box) => near.observe(box));
    (window.requestIdleCallback || setTimeout)(watch);
    addEventListener("beforeprint", drawAll);
    if (document.getElementById("trade-list")) quorumTrades.start();
    root.dataset.ready = "yes";
  }

  return { start, drawAll, css, tabs };
})();
