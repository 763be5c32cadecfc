"use strict";
// What a cell is sorted by: a number where the whole text is one (also "<0.001", the lower end of "1.0 to 2.0", the first of
// "3 of 4" and of "19.0 (17.4 to 20.8)", "inf"), else the text. "5a" is a name.
function sortValue(text) {
  const found = /^<?([-+]?\d+(?:\.\d+)?)(?: (?:to|of) .*| \(.*\))?$/.exec(text);
  return text === "inf" ? Infinity : found ? Number(found[1]) : text;
}

// Names as people count: "320ms" before "1280ms". Numbers stand before texts.
function sortOrder(x, y) {
  if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
  return typeof x === "number" ? Math.sign(x - y) || 0 : x.localeCompare(y, "en", { numeric: true });
}

// Sort a table by the column whose head is clicked.
for (const head of document.querySelectorAll("table.sortable th")) {
  head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const index = [...head.parentNode.children].indexOf(head);
    const down = head.ariaSort === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.ariaSort = down ? "descending" : "ascending";
    const value = (row) => sortValue(row.cells[index].textContent);
    const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * sortOrder(value(a), value(b)));
    body.append(...rows);
  });
}

// On paper nothing can be unfolded.
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});

const element = (name, content, className) => {
  const node = document.createElement(name);
  if (content) node.textContent = content;
  if (className) node.className = className;
  return node;
};

// Seconds from the end of each rightly recognised word until a stream could not change it; null where unknown.
function wordDelays(row, said) {
  let place = -1;
  return row.pairs.map(([type, ref, , , , stable]) => {
    if (ref !== null) place += 1;
    return type === "C" && said && stable !== null ? stable - said[place][1] : null;
  });
}

// Whether a phrase (of lower case) is in what was said, in what was recognised, or in the name of an utterance.
function matches(row, phrase) {
  const side = (place) => row.pairs.map((pair) => pair[place]).filter((word) => word !== null).join(" ");
  return [row.utt, side(1), side(2)].some((text) => text.toLowerCase().includes(phrase));
}

// The error browser: choose a decoding, filter utterances, see and hear them.
const store = document.getElementById("errors");
if (store) {
  const data = JSON.parse(store.textContent);
  const [choice, words, kind, order, list, count] = ["choice", "words", "kind", "order", "list", "count"].map((id) =>
    document.getElementById(id));
  data.decodings.forEach((decoding, index) => choice.add(new Option(decoding.name, index)));
  choice.value = String(data.chosen);
  const wrong = (row) => row.pairs.filter((pair) => pair[0] !== "C").length;
  const page = 20;
  let shown = 0;
  let rows = [];
  const more = element("button", "Show more");
  more.addEventListener("click", () => show());
  function box(decoding, row) {
    const node = element("div", "", "utterance");
    const key = `${decoding.dataset}/${row.utt}`;
    const spoken = row.pairs.filter((pair) => pair[1] !== null).length;
    const length = data.seconds[key] ? `, ${data.seconds[key].toFixed(1)} s` : "";
    const delays = wordDelays(row, data.said[key]);
    const known = delays.filter((delay) => delay !== null).sort((a, b) => a - b);
    const waited = known.length ? `, words stand after ${known[known.length >> 1].toFixed(2)} s (median)` : "";
    const silent = data.audio[key] ? "" : ", no sound";
    const head = element("div", "", "head");
    head.append(element("span", row.utt),
      element("span", `${wrong(row)} errors in ${spoken} words${length}${silent}${waited}`));
    node.append(head);
    const chips = element("div", "", "words");
    chips.dir = "auto";
    const spans = row.pairs.map(([type, ref, hyp], index) => {
      const pair = element("span", "", `pair ${type}`);
      pair.append(element("span", ref || "\u2205", "ref"), element("span", hyp || "\u2205", "hyp"));
      if (delays[index] !== null) pair.title = `stood ${delays[index].toFixed(2)} s after it was said`;
      chips.append(pair);
      return pair;
    });
    node.append(chips);
    let player = null;
    if (data.audio[key]) {
      player = element("audio");
      player.controls = true;
      player.preload = "none";
      player.src = data.audio[key];
    }
    const draw = timeline(node, row, player, {
      context: decoding.context, seconds: data.seconds[key], said: data.said[key], wave: data.waves[key],
    });
    if (player) {
      node.append(player);
      row.pairs.forEach((pair, index) => {
        if (pair[3] === null) return;
        const chip = spans[index];
        chip.classList.add("seek");
        chip.tabIndex = 0;
        chip.role = "button";
        chip.ariaLabel = `${pair[1] === null ? "nothing" : pair[1]} heard as ${pair[2]}: play`;
        chip.addEventListener("click", () => {
          player.currentTime = Math.max(0, pair[3] - 0.1);
          player.play();
        });
        chip.addEventListener("keydown", (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          chip.click();
        });
      });
      player.addEventListener("timeupdate", () => {
        const now = player.currentTime;
        row.pairs.forEach((pair, index) =>
          spans[index].classList.toggle("now", pair[3] !== null && pair[3] <= now && now < Math.max(pair[4], pair[3] + 0.2)));
        draw(now);
      });
    }
    return node;
  }
  function show() {
    const decoding = data.decodings[Number(choice.value)];
    for (const row of rows.slice(shown, shown + page)) list.append(box(decoding, row));
    shown = Math.min(rows.length, shown + page);
    more.hidden = shown >= rows.length;
    list.append(more);
  }
  function update() {
    const decoding = data.decodings[Number(choice.value)];
    const wanted = words.value.trim().replace(/\s+/g, " ").toLowerCase();
    rows = decoding.utterances.filter((row) => matches(row, wanted) &&
      (kind.value === "all" || (kind.value === "wrong" ? wrong(row) > 0 : row.pairs.some((p) => p[0] === kind.value))));
    if (order.value === "worst") rows = [...rows].sort((a, b) => wrong(b) - wrong(a));
    count.textContent = `${rows.length} of ${decoding.utterances.length} utterances`;
    list.replaceChildren();
    shown = 0;
    show();
  }
  for (const control of [choice, kind, order]) control.addEventListener("change", update);
  words.addEventListener("input", update);
  update();
}
