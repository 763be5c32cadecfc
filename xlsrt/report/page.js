"use strict";
// Sort a table by the column whose head is clicked; figures as numbers.
for (const head of document.querySelectorAll("table.sortable th")) {
  head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const index = [...head.parentNode.children].indexOf(head);
    const down = head.dataset.down !== "true";
    head.dataset.down = down;
    const value = (row) => {
      const text = row.cells[index].textContent;
      const number = parseFloat(text);
      return Number.isNaN(number) ? text : number;
    };
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? -1 : 1;
      return down ? order : -order;
    });
    body.append(...rows);
  });
}

// The error browser: choose a decoding, filter utterances, see and hear them.
const store = document.getElementById("errors");
if (store) {
  const data = JSON.parse(store.textContent);
  const [choice, words, kind, order, list, count] = ["choice", "words", "kind", "order", "list", "count"].map((id) =>
    document.getElementById(id));
  data.decodings.forEach((decoding, index) => choice.add(new Option(decoding.name, index)));
  choice.value = String(data.decodings.length - 1);
  const wrong = (row) => row.pairs.filter((pair) => pair[0] !== "C").length;
  const element = (name, content, className) => {
    const node = document.createElement(name);
    if (content) node.textContent = content;
    if (className) node.className = className;
    return node;
  };
  let shown = 0;
  let rows = [];
  const more = element("button", "Show more");
  more.addEventListener("click", () => show());
  function show() {
    const decoding = data.decodings[Number(choice.value)];
    for (const row of rows.slice(shown, shown + 50)) {
      const box = element("div", "", "utterance");
      box.append(element("div", `${row.utt}: ${wrong(row)} errors`, "soft"));
      for (const [type, ref, hyp, start] of row.pairs) {
        const pair = element("span", "", "pair");
        pair.append(element("span", ref || "\u2205", "ref"), element("span", hyp || "\u2205", `hyp ${type}`));
        if (start !== undefined && start !== null) pair.title = `${start.toFixed(2)} s`;
        box.append(pair);
      }
      const sound = data.audio[`${decoding.dataset}/${row.utt}`];
      if (sound) {
        const player = element("audio");
        player.controls = true;
        player.preload = "none";
        player.src = sound;
        box.append(player);
      }
      list.append(box);
    }
    shown = Math.min(rows.length, shown + 50);
    more.hidden = shown >= rows.length;
    list.append(more);
  }
  function update() {
    const decoding = data.decodings[Number(choice.value)];
    const wanted = words.value.trim().toLowerCase();
    rows = decoding.utterances.filter((row) =>
      (!wanted || `${row.utt} ${row.pairs.map((p) => `${p[1] || ""} ${p[2] || ""}`).join(" ")}`.toLowerCase()
        .includes(wanted)) &&
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
