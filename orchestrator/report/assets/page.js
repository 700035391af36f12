"use strict";
(() => {
  const RELOAD_SECONDS = 10;
  const STALE_SECONDS = 120;
  const NARROW = 560;  // pixels of a figure
  const PAPER = 680;  // pixels of a figure on a printed page

  // -- figures: plotly draws what stands in the JSON beside each place -----------------------------------------

  const css = () => getComputedStyle(document.documentElement);

  // Colours of text and lines are named as CSS variables, since they differ in the light and the dark.
  function resolved(value, style) {
    if (typeof value === "string") {
      const named = /^var\((--[a-z]+)\)$/.exec(value);
      return named ? style.getPropertyValue(named[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => resolved(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item, style)]));
    }
    return value;
  }

  function draw(chart, width) {
    const place = chart.querySelector(".plot");
    const content = resolved(JSON.parse(chart.querySelector("script").textContent), css());
    content.layout.font.family = getComputedStyle(document.body).fontFamily;
    if (width) content.layout.width = width;
    if (place.clientWidth < NARROW) {  // the legend takes a line for nearly every name there
      const named = content.data.filter((trace) => trace.name && trace.showlegend !== false);
      if (named.length > 1) content.layout.height += 10 * named.length;
      place.style.height = `${content.layout.height}px`;
    }
    const settings = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };
    return Plotly.react(place, content.data, content.layout, settings).then(() => {
      place.dataset.drawn = "yes";
    });
  }

  async function drawAll() {
    for (const chart of document.querySelectorAll("figure.chart")) {
      await draw(chart);
      await new Promise((resume) => setTimeout(resume));  // the page answers between two figures
    }
    document.body.dataset.drawn = "yes";
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // Paper is white and narrow.
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.print = "yes";
    for (const chart of document.querySelectorAll("figure.chart")) draw(chart, PAPER);
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.print;
    drawAll();
  });

  // -- copying ---------------------------------------------------------------------------------------------------

  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {  // a page that was opened as a file may not have the clipboard
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", () => copy(button));
  }

  // -- where one is ----------------------------------------------------------------------------------------------

  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) seen[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const current = [...links.keys()].find((id) => seen.has(id));
    if (current === undefined) return;
    for (const [id, link] of links) {
      if (id !== current) { link.removeAttribute("aria-current"); continue; }
      link.setAttribute("aria-current", "true");
      const list = link.closest("ul");  // on a phone the list scrolls sideways
      list.scrollLeft = link.offsetLeft - list.offsetLeft - (list.clientWidth - link.clientWidth) / 2;
    }
  }, { rootMargin: "-15% 0px -70% 0px" });
  for (const id of links.keys()) watcher.observe(document.getElementById(id));

  // -- times -----------------------------------------------------------------------------------------------------

  function duration(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    return whole < 120 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
  }

  const written = document.querySelector("[data-written]");
  const writtenAt = written ? Number(written.dataset.written) : 0;
  if (written) {
    const at = new Date(1000 * writtenAt);
    written.dateTime = at.toISOString();
    written.textContent = at.toLocaleString();
  }

  function tick() {
    const now = Date.now() / 1000;
    for (const place of document.querySelectorAll("[data-since]")) {
      place.textContent = duration(now - Number(place.dataset.since));
    }
    const stale = document.getElementById("stale");
    if (stale && now - writtenAt > STALE_SECONDS) {
      stale.textContent = `Nothing new for ${duration(now - writtenAt)}: the run has probably been stopped. ` +
        "The same command goes on from where it was.";
    }
  }

  // -- a run that goes on: load again, and stay where one was ----------------------------------------------------

  const key = `place of ${location.pathname}`;

  function remember() {
    const open = [...document.querySelectorAll("details[open]")].map((item) => item.id);
    const hold = document.getElementById("hold");
    sessionStorage.setItem(key, JSON.stringify({ y: scrollY, open, hold: Boolean(hold && hold.checked) }));
  }

  function restore() {
    const stored = sessionStorage.getItem(key);
    if (!stored) return;
    const { y, open, hold } = JSON.parse(stored);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    const box = document.getElementById("hold");
    if (box) box.checked = hold;
    scrollTo(0, y);
  }

  if (document.body.dataset.live) {
    history.scrollRestoration = "manual";
    restore();
    setInterval(() => {
      if (document.getElementById("hold").checked) return;
      remember();
      location.reload();
    }, 1000 * RELOAD_SECONDS);
    setInterval(tick, 1000);
  }
  tick();
  drawAll();
})();
