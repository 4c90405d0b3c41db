// Drawing: elements, scales, axes, marks. Text goes in as text, never as markup.
const NS = 'http://www.w3.org/2000/svg';
const finite = (x) => typeof x === 'number' && Number.isFinite(x);
const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

function put(made, attributes, inside) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === true) made.setAttribute(name, '');
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  for (const one of inside.flat(3)) {
    if (one !== null && one !== undefined && one !== false) made.append(one);
  }
  return made;
}
const el = (name, attributes, ...inside) => put(document.createElement(name), attributes, inside);
const sv = (name, attributes, ...inside) => put(document.createElementNS(NS, name), attributes, inside);
const line = (x1, y1, x2, y2, kind, more) => sv('line', { x1, y1, x2, y2, class: kind, ...more });
const words = (x, y, said, kind, anchor, more) =>
  sv('text', { x, y, class: kind, 'text-anchor': anchor || 'start', ...more }, said);

const ruler = document.createElement('canvas').getContext('2d');
function width(said, bold) {
  ruler.font = (bold ? '650 ' : '') + '12px ' + getComputedStyle(document.body).fontFamily;
  return ruler.measureText(said).width * 1.03;
}
function shortened(said, room, bold) {
  if (width(said, bold) <= room) return said;
  let from = 0;
  let to = said.length;
  while (from < to) {
    const half = Math.ceil((from + to) / 2);
    if (width(said.slice(0, half) + '…', bold) <= room) from = half;
    else to = half - 1;
  }
  return said.slice(0, from).trimEnd() + '…';
}

// Numbers in the words of the table.
function number(x) {
  if (!finite(x)) return 'not a number';
  const size = Math.abs(x);
  if (size >= 99.95) return Math.round(x).toLocaleString('en-US');
  if (size >= 9.995) return x.toFixed(1);
  if (size >= 0.0995 || x === 0) return x.toFixed(2);
  return String(Number(x.toPrecision(2)));
}
// An end of an interval that is not 1 is not rounded to it: that end decides what is said.
const nearOne = (x) => (x.toFixed(2) === '1.00' && x.toFixed(3) !== '1.000' ? x.toFixed(3) : number(x));
function quantity(x, unit) {
  if (unit === 'bytes' || unit === 'B') {
    for (const [name, size] of [['TiB', 2 ** 40], ['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 1024]]) {
      if (Math.abs(x) >= size) return number(x / size) + ' ' + name;
    }
    return Math.round(x) + ' B';
  }
  if (unit === 's' || unit === 'seconds') {
    if (Math.abs(x) >= 120) return number(x / 60) + ' min';
    if (Math.abs(x) >= 1) return number(x) + ' s';
    return Math.abs(x) >= 1e-3 ? number(x * 1e3) + ' ms' : number(x * 1e6) + ' µs';
  }
  return unit === '' || unit === 'nats' ? String(Number(x.toPrecision(4))) : number(x);
}
// An axis has one unit: what its values are divided by, and its name.
function scaleOf(greatest, unit) {
  if (unit === 'bytes' || unit === 'B') {
    for (const [name, size] of [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 1024]]) {
      if (greatest >= size * 0.9) return { by: size, name };
    }
  }
  if (unit === 's' || unit === 'seconds') {
    for (const [name, size] of [['min', 60], ['s', 1], ['ms', 1e-3]]) {
      if (greatest >= size * (size === 60 ? 3 : 0.9)) return { by: size, name };
    }
    return { by: 1e-6, name: 'µs' };
  }
  return { by: 1, name: unit };
}
// As many digits after the point as the step has, the same at every tick.
function tickText(x, step) {
  let digits = 0;
  while (digits < 8 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits += 1;
  return x.toLocaleString('en-US', { minimumFractionDigits: x ? digits : 0, maximumFractionDigits: digits });
}

function linear(low, high, from, to) {
  const span = high - low || 1;
  return (x) => from + ((x - low) / span) * (to - from);
}
function logarithmic(low, high, from, to) {
  const span = Math.log(high / low) || 1;
  return (x) => from + (Math.log(x / low) / span) * (to - from);
}
function ticks(low, high, most) {
  const raw = (high - low || 1) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step || 0);
  return { at: found, step };
}
// Round numbers on a logarithmic axis: as fine as there is room for.
function logTicks(low, high, most) {
  let best = [];
  for (const sides of [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]]) {
    const found = [];
    for (let p = Math.floor(Math.log10(low)) - 1; p <= Math.ceil(Math.log10(high)); p += 1) {
      for (const side of sides) {
        const x = side * 10 ** p;
        if (x >= low * 0.9999 && x <= high * 1.0001) found.push(x);
      }
    }
    if (found.length <= most && found.length >= best.length) best = found;
  }
  return best.length >= 2 ? best : ticks(low, high, Math.min(most, 4)).at.filter((x) => x > 0);
}
function quantile(sorted, share) {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  return sorted[below] + (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]) * (at - below);
}

// Eight shapes, so that no cell is told by its colour alone.
function mark(x, y, size, shape, kind, more) {
  const r = size;
  const path = (points) => `M${points.map(([a, b]) => `${(x + a * r).toFixed(1)},${(y + b * r).toFixed(1)}`).join('L')}Z`;
  const plus = (t) => [[-t, -1], [t, -1], [t, -t], [1, -t], [1, t], [t, t], [t, 1], [-t, 1], [-t, t], [-1, t], [-1, -t], [-t, -t]];
  const shapes = [
    null,
    [[-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]],
    [[0, -1.1], [1.05, 0.8], [-1.05, 0.8]],
    [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]],
    [[0, 1.1], [1.05, -0.8], [-1.05, -0.8]],
    plus(0.38),
    plus(0.38).map(([a, b]) => [(a - b) * 0.74, (a + b) * 0.74]),
    [0, 1, 2, 3, 4, 5].map((i) => [1.1 * Math.cos((i * Math.PI) / 3), 1.1 * Math.sin((i * Math.PI) / 3)]),
  ];
  const of = shapes[shape % shapes.length];
  return of ? sv('path', { d: path(of), class: kind, ...more }) : sv('circle', { cx: x, cy: y, r, class: kind, ...more });
}

// One tip for all charts, for a pointer, a tap and the keyboard.
const tip = document.getElementById('tip');
function tell(target, said) {
  target.addEventListener('pointerenter', (event) => {
    tip.textContent = said;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = clamp(event.clientX + 14, 8, Math.max(8, innerWidth - box.width - 8));
    const top = event.clientY - box.height - 12;
    tip.style.transform = `translate(${left}px, ${top < 8 ? event.clientY + 18 : top}px)`;
  });
  target.dataset.told = '';
  target.addEventListener('pointerleave', (event) => { tip.hidden = event.pointerType !== 'touch'; });
  return target;
}
// A finger leaves at once: its tip stays until the next touch elsewhere, or until the page moves.
addEventListener('pointerdown', (event) => { tip.hidden = tip.hidden || !event.target.closest('[data-told]'); });
addEventListener('scroll', () => { tip.hidden = true; }, { passive: true });
