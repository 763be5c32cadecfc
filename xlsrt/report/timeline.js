"use strict";
// One utterance over time: its sound, when words were said, recognised and final, and what the encoder sees from the
// chunk under the pointer (or the one being played): sinks, left context, own chunk. Frames of 20 ms.
const FRAME = 0.02;
const INK = { wave: "#9fb4cc", said: "#1b2430", right: "#1f4e8c", wrong: "#b3261e", border: "#cfd6df",
  sink: "rgba(224,122,60,.35)", left: "rgba(120,168,216,.35)", chunk: "rgba(31,78,140,.22)" };

// The frames that frame q sees, as [from, to, kind] in seconds; mirrors AttentionContext.visible.
function visibleSpans([chunk, left, sinks], q, frames) {
  if (chunk === null) return [[0, frames * FRAME, "chunk"]];
  const start = Math.floor(q / chunk) * chunk;
  const from = left === null ? 0 : Math.max(0, start - left);
  const spans = [[0, Math.min(sinks, from), "sink"], [from, start, "left"], [start, Math.min(frames, start + chunk), "chunk"]];
  return spans.filter(([a, b]) => b > a).map(([a, b, kind]) => [a * FRAME, b * FRAME, kind]);
}

// Where texts begin whose marks begin at x and that are so wide, in pixels: side by side, up to 40 pixels late; null for
// those that have no room. A recogniser says words in moments, often two in one.
function placeLabels(marks) {
  let free = -Infinity;
  return marks.map(([x, width]) => {
    const at = Math.max(x, free);
    if (at > x + 40) return null;
    free = at + width + 4;
    return at;
  });
}

function timeline(node, row, player, { context, seconds, said, wave }) {
  const timed = row.pairs.filter((pair) => pair[3] !== null);
  const length = seconds || Math.max(0, ...timed.map((pair) => pair[4])) + 0.2;
  if (!timed.length && !said && !wave) return () => {};
  const canvas = element("canvas");
  canvas.role = "img";
  canvas.ariaLabel = `${row.utt} over time: its sound, when words were said, recognised and final; the words stand above`;
  node.append(canvas);
  const bytes = wave ? Uint8Array.from(atob(wave), (c) => c.charCodeAt(0)) : [];
  const reached = Math.max(length, ...timed.map((pair) => pair[5] || 0));
  let from = 0;
  let slider = null;
  const span = () => Math.min(reached, Math.max(4, canvas.clientWidth / 130));
  const refs = row.pairs.filter((pair) => pair[1] !== null);

  function draw(now) {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const x = (time) => ((time - from) / span()) * width;
    const middle = height * 0.62;
    if (context && now !== undefined) {
      const q = Math.min(Math.floor(now / FRAME), Math.floor(length / FRAME));
      for (const [a, b, kind] of visibleSpans(context, q, Math.floor(length / FRAME))) {
        pen.fillStyle = INK[kind];
        pen.fillRect(x(a), 0, x(b) - x(a), height - 14);
      }
    }
    if (context && context[0] !== null) {
      pen.fillStyle = INK.border;
      for (let c = 0; c * context[0] * FRAME <= length; c++) pen.fillRect(x(c * context[0] * FRAME), 0, 1, height - 14);
    }
    pen.fillStyle = INK.wave;
    for (let i = Math.max(0, Math.floor(from * 25)); i < bytes.length && i / 25 < from + span(); i++) {
      const size = (bytes[i] / 255) * height * 0.13 + 0.5;
      pen.fillRect(x(i / 25), middle - size, Math.max(1, x(1 / 25) - x(0) - 0.5), 2 * size);
    }
    pen.font = "12px system-ui, sans-serif";
    const words = (list, y) => {
      const places = placeLabels(list.map(([text, a]) => [x(a), pen.measureText(text).width]));
      list.forEach(([text, a, b, colour], index) => {
        pen.fillStyle = colour;
        pen.fillRect(x(a), y + 3, Math.max(2, x(b) - x(a) - 1), 2);
        if (places[index] !== null) pen.fillText(text, places[index], y);
      });
    };
    const colour = (type) => (type === "C" ? INK.right : INK.wrong);
    words((said || []).map(([a, b], index) => [refs[index][1], a, b, INK.said]), 14);
    words(timed.map(([type, , hyp, a, b]) => [hyp, a, b, colour(type)]), 36);
    for (const [type, , , , b, stable] of timed) {
      if (stable) {
        pen.fillStyle = colour(type);
        pen.fillRect(x(b), 40, Math.max(0, x(stable) - x(b)), 0.7);
        pen.beginPath();
        pen.arc(x(stable), 40, 2.5, 0, 7);
        pen.fill();
      }
    }
    pen.fillStyle = "#5a6776";
    pen.font = "10px system-ui, sans-serif";
    const every = span() > 20 ? 5 : 1;
    for (let t = Math.ceil(from / every) * every; t <= from + span(); t += every) pen.fillText(`${t} s`, x(t), height - 2);
    if (now !== undefined) {
      pen.fillStyle = "#b3261e";
      pen.fillRect(x(now), 0, 1, height - 14);
    }
  }
  function follow(now) {
    if (slider && (now < from || now > from + span())) {
      from = Math.min(Math.max(0, now - 0.5), reached - span());
      slider.value = from;
    }
    draw(now);
  }
  const time = (event) => from + ((event.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth) * span();
  canvas.addEventListener("pointermove", (event) => { if (!player || player.paused) draw(time(event)); });
  canvas.addEventListener("pointerleave", () => { if (!player || player.paused) draw(); });
  canvas.addEventListener("click", (event) => {
    draw(time(event));
    if (player) {
      player.currentTime = Math.max(0, time(event));
      player.play();
    }
  });
  new ResizeObserver(() => {
    if (reached > span() && !slider) {
      slider = element("input");
      slider.type = "range";
      slider.min = 0;
      slider.step = 0.1;
      slider.value = 0;
      slider.ariaLabel = "part of the recording that is shown";
      slider.addEventListener("input", () => { from = Number(slider.value); draw(); });
      canvas.after(slider);
    }
    if (slider) {
      slider.hidden = reached <= span();
      slider.max = Math.max(0, reached - span());
      from = Math.min(from, Number(slider.max));
    }
    draw();
  }).observe(canvas);
  return follow;
}
