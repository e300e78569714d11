"use strict";
// New events: said at once, then the part of the page that changed is exchanged.
(() => {
  const body = document.body;
  const part = document.getElementById("part");
  const said = document.getElementById("said");
  let waiting = null, again = false;

  function linked(state, text) {
    const link = document.getElementById("link");
    if (link) { link.dataset.link = state; link.textContent = text; }
  }

  // What a page is made of, by id, or by kind and place.
  function keyed(parent) {
    const counts = {};
    return new Map([...parent.children].map((node) => [node.id || `${node.tagName}:${(counts[node.tagName] = (counts[node.tagName] ?? 0) + 1)}`, node]));
  }

  const texts = new WeakMap();
  for (const node of part.children) texts.set(node, node.outerHTML);

  // Only what changed is exchanged: the rest keeps its charts, its focus, its open parts.
  function exchange(html) {
    if (part.contains(document.activeElement) && document.activeElement.matches("input, textarea")) return;
    const before = keyed(part);
    const named = (d) => d.closest("[aria-label]")?.getAttribute("aria-label");
    const open = new Set([...part.querySelectorAll("details[open]")].map(named));
    const wanted = [...keyed(new DOMParser().parseFromString(html, "text/html").body)].map(([key, node]) => {
      const old = before.get(key);
      if (old && texts.get(old) === node.outerHTML) return old;
      texts.set(node, node.outerHTML);
      return node;
    });
    for (const node of before.values()) if (!wanted.includes(node)) node.remove();
    wanted.forEach((node, i) => { if (part.children[i] !== node) part.insertBefore(node, part.children[i] ?? null); });
    for (const d of part.querySelectorAll("details")) if (open.has(named(d))) d.open = true;
    quorumCharts.forget((box) => document.contains(box));
    quorumCharts.draw(part);
  }

  async function refresh() {
    // The report's charts are of all that was traded: they wait until the page is opened anew.
    if (part.querySelector(".plot")) return;
    if (waiting) { again = true; return; }
    waiting = fetch(location.href, { headers: { "X-Quorum-Part": "1" }, redirect: "manual" });
    try {
      const answer = await waiting;
      if (answer.type === "opaqueredirect") { location.reload(); return; }
      if (answer.ok) exchange(await answer.text());
      linked("yes", "live");
    } catch { linked("no", "no answer"); } finally {
      waiting = null;
      if (again) { again = false; refresh(); }
    }
  }

  function listen() {
    const stream = new EventSource("/api/v1/events");
    const seen = new Set();
    stream.onopen = () => linked("yes", "live");
    stream.onerror = () => linked("no", "no answer");
    const take = (event) => {
      if (seen.has(event.lastEventId)) return;
      seen.add(event.lastEventId);
      const told = JSON.parse(event.data);
      said.textContent = `${told.pair} ${told.text}`.replaceAll("_", " ").trim();
      body.dataset.event = event.lastEventId;
      refresh();
    };
    for (const kind of ["candle", "answer", "trade", "guards", "fault"]) stream.addEventListener(kind, take);
    stream.addEventListener("reset", refresh);
    addEventListener("pagehide", () => stream.close());
  }

  quorumCharts.draw();
  quorum.start();
  if (body.dataset.live === "yes") listen();
})();
