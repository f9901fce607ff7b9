"use strict";
// Follows the records: points go to the charts, changed sections are fetched and put in place.
(() => {
  const SILENCE = 40_000; // the server sends something every 15 seconds
  const PATIENCE = 4_000; // shorter losses of the connection are not worth a word
  let source = null, heard = Date.now(), lastId = "", lost = 0, fetching = false, wanted = false, isIncomplete = false;

  const live = () => document.getElementById("live");
  const say = (isLost) => { document.getElementById("stale").hidden = !isLost; };

  function connect() {
    source?.close();
    source = new EventSource(`/events${lastId ? `?last=${encodeURIComponent(lastId)}` : ""}`);
    heard = Date.now();
    source.onopen = note;
    source.onerror = () => {
      lost ||= Date.now();
      setTimeout(() => { if (lost && Date.now() - lost >= PATIENCE) say(true); }, PATIENCE);
      // Browsers try again by themselves unless the server refused.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, PATIENCE);
    };
    source.addEventListener("ping", note);
    source.addEventListener("hello", (event) => {
      note(event);
      const { version, gap } = JSON.parse(event.data);
      isIncomplete ||= gap || version !== live().dataset.version;
      if (gap || version) update(gap ? "" : version);
    });
    source.addEventListener("changed", (event) => { note(event); update(JSON.parse(event.data).version); });
    source.addEventListener("points", (event) => { note(event); draw(JSON.parse(event.data)); });
  }

  // Adds what a run measured to the charts; what they have no line for is fetched with the content.
  function draw(measured) {
    const points = [];
    (measured.step ?? []).forEach((x, at) => {
      const isAligning = (measured.reward?.[at] ?? null) !== null;
      const add = (chart, y) => points.push({ chart: isAligning ? `align-${chart}` : chart, run: measured.run, x, y });
      add("loss", measured.loss[at]);
      add("grad-norm", measured.grad_norm[at]);
      if (isAligning) return add("reward", measured.reward[at]);
      add("learning-rate", measured.learning_rate[at]);
      add("throughput", measured.tokens[at] / measured.seconds[at]);
    });
    const unknown = yoyakCharts.update(points);
    if (unknown.length || measured.evaluated_epoch) isIncomplete = true;
  }

  function note(event) {
    heard = Date.now();
    lost = 0;
    if (event.lastEventId) lastId = event.lastEventId;
    say(false);
  }

  async function content(query) {
    const answer = await fetch(`/part?${new URLSearchParams(query)}`);
    if (!answer.ok) throw new Error(String(answer.status));
    const version = answer.headers.get("ETag").replaceAll('"', "");
    return [await answer.text(), version];
  }

  // The other language comes from here, so the live page need not carry it.
  yoyakPage.content = async (language) => {
    const [html, version] = await content({ lang: language });
    live().dataset.version = version;
    return html;
  };

  async function update(version) {
    if (version && version === live().dataset.version) return;
    wanted = true;
    if (fetching || document.hidden) return;
    fetching = true;
    try {
      while (wanted && !document.hidden) {
        wanted = false;
        const language = document.documentElement.lang;
        const [html, found] = await content({ lang: language, since: live().dataset.version });
        const page = new DOMParser().parseFromString(html, "text/html");
        if (language !== document.documentElement.lang) continue;
        if (isIncomplete) {
          isIncomplete = false;
          yoyakCharts.load(await (await fetch("/points")).json());
        }
        put(page.body);
        live().dataset.version = found;
      }
    } catch {
      say(true);
    } finally {
      fetching = false;
    }
  }

  // Puts what is new in place and leaves what is the same untouched: its focus, its selection.
  function put(fresh) {
    const open = [...document.querySelectorAll("details[open]")].map((one) => one.dataset.id);
    for (const one of fresh.querySelectorAll("details")) one.open = open.includes(one.dataset.id);
    merge(live(), fresh);
    yoyakPage.announce();
  }

  function merge(shown, fresh) {
    const key = (one) => one.getAttribute("aria-labelledby") ?? one.dataset.same;
    const old = [...shown.children];
    const placed = [...fresh.children].map((one) => {
      const before = old.find((each) => (key(one) ? key(each) === key(one) : each.tagName === one.tagName));
      if (!before) return document.importNode(one, true);
      old.splice(old.indexOf(before), 1);
      if (one.dataset.same || before.isEqualNode(one)) return before;
      if (one.tagName === "MAIN") {
        merge(before, one);
        return before;
      }
      const next = document.importNode(one, true);
      before.replaceWith(next);
      return next;
    });
    for (const one of old) one.remove();
    placed.forEach((one, at) => {
      if (shown.children[at] !== one) shown.insertBefore(one, shown.children[at] ?? null);
    });
  }

  function wake() {
    if (document.hidden) {
      source?.close(); // a browser allows six connections to a server: hidden pages take none
      source = null;
    } else if (!source || Date.now() - heard > SILENCE) {
      connect();
    }
  }

  document.addEventListener("visibilitychange", wake);
  addEventListener("online", wake);
  addEventListener("pageshow", wake);
  setInterval(wake, SILENCE / 4); // a laptop that slept has a connection that is dead and open
  wake();
})();
