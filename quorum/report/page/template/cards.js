"use strict";
// The list of trades and the card of each: candles, stop, ladder, zones, votes, what happened.
const quorumTrades = (() => {
  const packed = JSON.parse(document.getElementById("trade-data").textContent);
  const { words, step } = packed;
  const named = (fields, row) => Object.fromEntries(fields.map((f, i) => [f, row[i]]));
  const trades = packed.trades.map((row, i) => {
    const t = named(packed.fields, row);
    t.number = i + 1;
    t.s = t.signal && named(packed.signalFields, t.signal);
    t.held = t.closed === null ? null : t.closed - t.entered;
    return t;
  });
  const PAGE = 40;
  const state = { sort: "number", down: false, page: 0, filters: {} };
  let shown = trades;
  let current = null;

  const esc = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
  const fixed = (x, digits, sign) => x === null || x === undefined ? "–"
    : (sign && x > 0 ? "+" : "") + x.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
  const price = (x) => x === null ? "–" : x.toLocaleString("en-US", { maximumSignificantDigits: 7 });
  const date = (minute, clock = true) => new Date(minute * 60000).toISOString().slice(0, clock ? 16 : 10).replace("T", " ");
  const held = (m) => m === null ? "open" : m < 2880 ? `${fixed(m / 60, m < 600 ? 1 : 0)} h` : `${fixed(m / 1440, 1)} d`;
  const pairName = (t) => packed.pairs[t.pair].name.split(":")[0];
  const side = (t) => (t.side > 0 ? "long" : "short");
  const tone = (x) => (x > 0 ? "good" : x < 0 ? "bad" : "");

  const COLUMNS = [
    ["number", "#", (t) => t.number, (t) => t.number],
    ["pair", "pair", (t) => pairName(t), pairName, "word"],
    ["side", "side", (t) => side(t), side, "word"],
    ["entered", "entered, UTC", (t) => date(t.entered), (t) => t.entered, "word"],
    ["held", "held", (t) => held(t.held), (t) => t.held],
    ["band", "band", (t) => (t.s ? words[t.s.band] : "–"), (t) => (t.s ? t.s.confidence : -1), "word"],
    ["exit", "exit", (t) => words[t.exit], (t) => words[t.exit], "word"],
    ["r", "R", (t) => fixed(t.r, 2, true), (t) => t.r, "tone"],
    ["profit", packed.currency, (t) => fixed(t.profit, 2, true), (t) => t.profit, "tone"],
  ];
  const FILTERS = [
    ["pair", pairName],
    ["side", side],
    ["band", (t) => (t.s ? words[t.s.band] : "–")],
    ["exit", (t) => words[t.exit]],
    ["result", (t) => (t.closed === null ? "open" : t.profit > 0 ? "won" : "lost")],
  ];

  function filtered() {
    const [, , , key] = COLUMNS.find((c) => c[0] === state.sort);
    const wanted = FILTERS.filter(([name]) => state.filters[name]);
    shown = trades.filter((t) => wanted.every(([name, value]) => value(t) === state.filters[name]));
    const sign = state.down ? -1 : 1;
    shown = shown.slice().sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x < y ? -1 : x > y ? 1 : a.number - b.number);
    });
  }

  function list() {
    const table = document.getElementById("trade-list");
    table.tHead.innerHTML = "<tr>" + COLUMNS.map(([name, label, , , kind]) =>
      `<th scope="col" class="${kind === "word" ? "word" : ""}" data-sort="${name}"${state.sort === name ? ` aria-sort="${state.down ? "descending" : "ascending"}"` : ""}>${esc(label)}</th>`).join("") + "</tr>";
    const rows = shown.slice(state.page * PAGE, (state.page + 1) * PAGE);
    table.tBodies[0].innerHTML = rows.map((t) => `<tr tabindex="0" data-trade="${t.number}">` + COLUMNS.map(([, , text, key, kind], i) => {
      const cls = kind === "word" ? "word" : kind === "tone" ? tone(key(t)) : "";
      return i === 0 ? `<th scope="row">${text(t)}</th>` : `<td class="${cls}">${esc(text(t))}</td>`;
    }).join("") + "</tr>").join("");
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    document.getElementById("pager").innerHTML =
      `<button type="button" data-page="-1"${state.page ? "" : " disabled"}>← earlier</button>` +
      `<span>${state.page + 1} of ${pages}</span>` +
      `<button type="button" data-page="1"${state.page + 1 < pages ? "" : " disabled"}>later →</button>`;
    const total = shown.reduce((sum, t) => sum + (t.profit || 0), 0);
    document.getElementById("trade-count").textContent = `${shown.length.toLocaleString("en-US")} trades, ${fixed(total, 2, true)} ${packed.currency}`;
  }

  // The chart ----------------------------------------------------------------------------------

  function decode(pair) {
    if (!pair.data) return null;
    if (!pair.candles) {
      const bytes = Uint8Array.from(atob(pair.data), (c) => c.charCodeAt(0));
      const view = new DataView(bytes.buffer);
      pair.candles = new Float64Array(bytes.length / 2);
      for (let i = 0; i < pair.candles.length; i++) pair.candles[i] = Math.exp(pair.low + pair.logStep * view.getUint16(2 * i, true));
    }
    return pair.candles;
  }

  function candlesOf(t) {
    const pair = packed.pairs[t.pair];
    const prices = decode(pair);
    if (!prices) return [];
    const from = t.entered - packed.before * step - (t.entered % step);
    const to = Math.min((t.closed ?? packed.end) + (packed.after + 1) * step, t.entered + packed.longest * step);
    const out = [];
    let at = 0;
    for (const [start, count] of pair.runs) {
      for (let i = Math.max(0, Math.ceil((from - start) / step)); i < count; i++) {
        const minute = start + i * step;
        if (minute > to) break;
        const k = 4 * (at + i);
        out.push([minute, prices[k], prices[k + 1], prices[k + 2], prices[k + 3]]);
      }
      at += count;
      if (start > to) break;
    }
    return out;
  }

  function ticks(low, high, wanted) {
    const raw = (high - low) / wanted;
    const size = 10 ** Math.floor(Math.log10(raw));
    const unit = size * [1, 2, 5, 10].find((f) => f * size >= raw);
    const out = [];
    for (let v = Math.ceil(low / unit) * unit; v <= high; v += unit) out.push(+v.toPrecision(10));
    return out;
  }

  function spread(labels, top, bottom) {
    // Labels that would overlap are pushed apart.
    labels.sort((a, b) => a.y - b.y);
    for (let i = 1; i < labels.length; i++) labels[i].y = Math.max(labels[i].y, labels[i - 1].y + 13);
    for (let i = labels.length - 1, limit = bottom; i >= 0; i--, limit -= 13) labels[i].y = Math.max(top, Math.min(labels[i].y, limit));
    return labels;
  }

  function chart(t) {
    const candles = candlesOf(t);
    if (!candles.length) return '<p class="note">No candles of this pair are at hand.</p>';
    const narrow = innerWidth < 700;
    const W = narrow ? 420 : 900, H = narrow ? 320 : 380, L = narrow ? 42 : 54, R = narrow ? 108 : 132, T = 10, B = 24;
    const levels = [["entry", t.s ? t.s.entry : t.open, "var(--ink)", ""]];
    if (t.s) {
      levels.push([`stop`, t.s.stop, "var(--bad)", "5 3"]);
      t.s.ladder.forEach((p, i) => levels.push([`${fixed(100 * t.s.shares[i], 0)} %`, p, "var(--good)", "2 3"]));
    }
    const lows = candles.map((c) => c[3]), highs = candles.map((c) => c[2]);
    let low = Math.min(...lows, ...levels.map((l) => l[1])), high = Math.max(...highs, ...levels.map((l) => l[1]));
    const room = 0.05 * (high - low || high * 0.01);
    low -= room; high += room;
    const t0 = candles[0][0], t1 = candles[candles.length - 1][0] + step;
    const x = (minute) => L + ((minute - t0) / (t1 - t0)) * (W - L - R);
    const y = (p) => T + ((high - p) / (high - low)) * (H - T - B);
    const n = (v) => v.toFixed(1);
    const end = t.closed ?? packed.end;
    const out = [];
    for (const m of timeTicks(t0, t1, narrow ? 3 : 6)) out.push(`<text x="${n(x(m))}" y="${H - 7}" text-anchor="middle" fill="var(--faint)">${date(m).slice(5)}</text>`);
    const from = x(t.entered), until = Math.min(x(end), W - R);
    out.push(`<rect x="${n(from)}" y="${T}" width="${n(Math.max(1, until - from))}" height="${H - T - B}" fill="var(--wash)"/>`);
    for (const v of ticks(low, high, 5)) out.push(`<line x1="${L}" x2="${W - R}" y1="${n(y(v))}" y2="${n(y(v))}" stroke="var(--rule)"/>`);
    if (t.s) out.push(zones(t.s.zones, L, x(t.placed), W - R, y, T, H - B));
    out.push(bodies(candles, x, y, n));
    for (const v of ticks(low, high, 5)) out.push(`<text x="${L - 6}" y="${n(y(v) + 4)}" text-anchor="end" fill="var(--faint)">${price(v)}</text>`);
    const labels = [];
    for (const [name, p, colour, dash] of levels) {
      out.push(`<line x1="${n(x(t.placed))}" x2="${n(until)}" y1="${n(y(p))}" y2="${n(y(p))}" stroke="${colour}" stroke-width="1.3" stroke-dasharray="${dash}"/>`);
      labels.push({ y: y(p) + 4, text: `${name} ${price(p)}`, colour });
    }
    for (const l of spread(labels, T + 8, H - B)) out.push(`<text x="${W - R + 6}" y="${n(l.y)}" fill="${l.colour}">${esc(l.text)}</text>`);
    for (const [minute, p, , entry] of t.fills) out.push(marker(Math.min(x(minute), W - R), y(p), entry, t.side, n));
    return `<svg viewBox="0 0 ${W} ${H}" role="img" aria-label="candles around the trade">${out.join("")}</svg>`;
  }

  function timeTicks(t0, t1, wanted) {
    const unit = [60, 120, 240, 360, 720, 1440, 2880, 5760, 10080, 20160].find((u) => (t1 - t0) / u <= wanted) || 43200;
    const out = [];
    for (let m = Math.ceil((t0 + unit / 4) / unit) * unit; m < t1 - unit / 4; m += unit) out.push(m);
    return out;
  }

  function bodies(candles, x, y, n) {
    const width = Math.max(0.7, (x(candles[0][0] + step) - x(candles[0][0])) * 0.66);
    const paths = { up: "", down: "" };
    for (const [minute, open, high, low, close] of candles) {
      const middle = x(minute + step / 2), top = y(Math.max(open, close)), bottom = Math.max(y(Math.min(open, close)), top + 0.8);
      const path = `M${n(middle)} ${n(y(high))}V${n(y(low))}M${n(middle - width / 2)} ${n(top)}h${n(width)}V${n(bottom)}h${n(-width)}z`;
      paths[close >= open ? "up" : "down"] += path;
    }
    return `<path d="${paths.up}" stroke="var(--good)" fill="var(--paper)"/><path d="${paths.down}" stroke="var(--bad)" fill="var(--bad)"/>`;
  }

  function zones(found, edge, left, right, y, top, bottom) {
    // Names stand before the trade, or where there is no room for them, at the end.
    const at = left - edge > 112 ? left - 6 : right - 4;
    const clip = (v) => Math.max(top, Math.min(bottom, v));
    const out = [], labels = [];
    for (const [word, a, b] of found) {
      const name = words[word], colour = /bull|discount/.test(name) ? "var(--good)" : "var(--bad)";
      const y1 = clip(y(Math.max(a, b))), y2 = clip(y(Math.min(a, b)));
      if (a === b && y1 > top && y1 < bottom) out.push(`<line x1="${left}" x2="${right}" y1="${y1}" y2="${y1}" stroke="${colour}" stroke-opacity=".55" stroke-dasharray="1 4"/>`);
      else if (y2 - y1 >= 0.5) out.push(`<rect x="${left}" y="${y1}" width="${right - left}" height="${y2 - y1}" fill="${colour}" fill-opacity=".13"/>`);
      else continue;
      labels.push({ y: (y1 + y2) / 2 + 4, text: name, colour });
    }
    for (const l of spread(labels, top + 10, bottom - 2)) out.push(`<text x="${at}" y="${l.y}" text-anchor="end" fill="${l.colour}" fill-opacity=".85">${esc(l.text)}</text>`);
    return out.join("");
  }

  function marker(px, py, entry, tradeSide, n) {
    const buys = entry ? tradeSide > 0 : tradeSide < 0;
    const d = buys ? 1 : -1;
    return `<path d="M${n(px)} ${n(py)}l-5.5 ${9 * d}h11z" fill="${entry ? "var(--ink)" : "var(--third)"}" stroke="var(--paper)" stroke-width="1"/>`;
  }

  // The card -----------------------------------------------------------------------------------

  function story(t) {
    const risk = t.s ? Math.abs(t.s.entry - t.s.stop) : null;
    const parts = [`${t.side > 0 ? "Bought" : "Sold"} at ${price(t.open)}`];
    if (risk) parts[0] += `, the stop ${fixed((100 * risk) / t.s.entry, 2)} % away`;
    const exits = t.fills.filter((f) => !f[3]);
    const total = t.fills.filter((f) => f[3]).reduce((sum, f) => sum + f[2], 0);
    for (const [minute, p, amount, , word] of exits) parts.push(`${fixed((100 * amount) / total, 0)} % out at ${price(p)} (${words[word]}) after ${held(minute - t.entered)}`);
    if (t.closed === null) parts.push("still open");
    let text = parts.join("; ") + ".";
    if (risk) text += ` At best it was ${fixed(Math.max(0, (t.side * (t.best - t.open)) / risk), 1)} R ahead, at worst ${fixed(Math.max(0, (-t.side * (t.worst - t.open)) / risk), 1)} R behind.`;
    return text;
  }

  const rows = (pairs) => "<table><tbody>" + pairs.filter(([, v]) => v !== null && v !== undefined && v !== "").map(([k, v]) => `<tr><th scope="row">${esc(k)}</th><td>${esc(v)}</td></tr>`).join("") + "</tbody></table>";

  function votes(t) {
    if (!t.s) return '<p class="note">No signal is stored with this trade.</p>';
    return "<h4>votes</h4><table><tbody>" + t.s.votes.map(([word, direction, p, c, why]) => {
      const cls = direction === 0 ? "weak" : direction === t.side ? "good" : "bad";
      const said = direction === 0 ? "flat" : `${direction > 0 ? "long" : "short"} ${fixed(p, 2)}`;
      return `<tr><th scope="row">${esc(words[word])}</th><td class="${cls}" title="probability">${said}</td><td title="confidence">${direction ? fixed(c, 2) : ""}</td><td class="why">${esc(why.map((w) => words[w]).join(", "))}</td></tr>`;
    }).join("") + "</tbody></table>";
  }

  function facts(t) {
    const c = packed.currency;
    let out = "<h4>result</h4>" + rows([
      [`profit`, `${fixed(t.profit, 2, true)} ${c}`], ["of the stake", `${fixed(100 * t.ratio, 2, true)} %`], ["in units of risk", t.r === null ? null : `${fixed(t.r, 2, true)} R`],
      ["position", `${fixed(t.notional, 2)} ${c}`], ["fees", t.fees === null ? null : `${fixed(t.fees, 2)} ${c}`], ["funding", `${fixed(t.funding, 2, true)} ${c}`],
    ]);
    if (!t.s) return out;
    const s = t.s;
    out += "<h4>signal</h4>" + rows([
      ["agreed", `${s.agreeing} of ${s.heads}`], ["probability", fixed(s.probability, 3)], ["confidence", `${fixed(s.confidence, 3)}${s.measured === null ? "" : `, measured ${fixed(s.measured, 3)}`}, ${words[s.band]}`], ["quality", words[s.quality]], ["confluence", fixed(s.confluence, 0)],
      ["promised to win", `${fixed(100 * s.promised, 0)} % (${words[s.promisedBy]})`], ["expected", s.expected === null ? null : `${fixed(s.expected, 2, true)} R after costs`], ["R:R of the first target", fixed(s.ratio, 2)], ["stop", words[s.stopKind]], ["at risk", `${fixed(s.risk, 2)} ${c} for ${fixed(s.reward, 2)}`],
      ["size", `${fixed(s.size, 3)} % of capital`], ["why this size", s.reasons.map((w) => words[w]).join(", ")],
    ]);
    if (s.warnings.length) out += `<h4>beware</h4><p>${esc(s.warnings.map((w) => words[w]).join("; "))}</p>`;
    if (s.facts.length) out += "<h4>context</h4>" + rows(s.facts.map((w) => words[w].split(": ")));
    return out;
  }

  function open(number) {
    const t = trades[number - 1];
    if (!t) return;
    current = number;
    const dialog = document.getElementById("card");
    dialog.innerHTML = `<div class="bar"><h3>${t.number}. ${esc(pairName(t))} ${side(t)}, ${date(t.entered)} UTC <span class="${tone(t.profit)}">${t.r === null ? `${fixed(t.profit, 2, true)} ${packed.currency}` : `${fixed(t.r, 2, true)} R`}</span></h3>` +
      '<button type="button" data-go="-1" aria-label="previous trade">←</button><button type="button" data-go="1" aria-label="next trade">→</button><button type="button" data-go="0" aria-label="close">✕</button></div>' +
      `<div class="inside"><p class="story">${esc(story(t))}</p>${chart(t)}<div class="columns"><div>${votes(t)}</div><div>${facts(t)}</div></div></div>`;
    if (!dialog.open) dialog.showModal();
    dialog.focus({ preventScroll: true });
    dialog.scrollTop = 0;
    history.replaceState(null, "", `#trade-${number}`);
  }

  function go(move) {
    const at = shown.findIndex((t) => t.number === current);
    const next = shown[at + move];
    if (at >= 0 && next) open(next.number);
  }

  function filters() {
    const box = document.getElementById("filters");
    box.innerHTML = FILTERS.map(([name, value]) => {
      const values = [...new Set(trades.map(value))].sort();
      return values.length < 2 ? "" : `<select data-filter="${name}" aria-label="${name}"><option value="">any ${name}</option>${values.map((v) => `<option>${esc(v)}</option>`).join("")}</select>`;
    }).join("") + '<span class="count" id="trade-count"></span>';
    box.addEventListener("change", (event) => { state.filters[event.target.dataset.filter] = event.target.value; state.page = 0; filtered(); list(); });
  }

  function start() {
    filters();
    filtered();
    list();
    const table = document.getElementById("trade-list"), dialog = document.getElementById("card");
    table.addEventListener("click", (event) => {
      const head = event.target.closest("[data-sort]"), row = event.target.closest("[data-trade]");
      if (head) {
        state.down = state.sort === head.dataset.sort ? !state.down : ["r", "profit", "held"].includes(head.dataset.sort);
        state.sort = head.dataset.sort;
        state.page = 0;
        filtered();
        list();
      } else if (row) open(+row.dataset.trade);
    });
    table.addEventListener("keydown", (event) => {
      const row = event.target.closest("[data-trade]");
      if (row && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); open(+row.dataset.trade); }
    });
    document.getElementById("pager").addEventListener("click", (event) => { state.page += +(event.target.dataset.page || 0); list(); });
    dialog.addEventListener("click", (event) => {
      const button = event.target.closest("[data-go]");
      if (event.target === dialog || (button && button.dataset.go === "0")) dialog.close();
      else if (button) go(+button.dataset.go);
    });
    dialog.addEventListener("keydown", (event) => { if (event.key === "ArrowLeft") go(-1); else if (event.key === "ArrowRight") go(1); });
    dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
    const asked = /^#trade-(\d+)$/.exec(location.hash);
    if (asked) open(+asked[1]);
  }

  return { start, open };
})();
