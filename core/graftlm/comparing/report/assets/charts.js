// The charts: each gives its panels, a panel draws itself at a width.
const { cells, groups, measures, columns, sweeps, judged } = JSON.parse(document.getElementById('data').textContent);
const measureOf = new Map(measures.map((one) => [one.name, one]));
const unitOf = (name) => (measureOf.has(name) ? measureOf.get(name).unit : '');
const labelOf = (name) => (measureOf.has(name) ? measureOf.get(name).label : name);
const titled = (label, unit) => opening(unit && !(unit.length > 3 && label.toLowerCase().includes(unit.toLowerCase())) ? `${label}, ${unit}` : label);
const opening = (said) => said.charAt(0).toUpperCase() + said.slice(1);

// A cell looks the same in every chart and group: by what tells it from the others.
const looks = new Map();
function look(label) {
  if (!looks.has(label)) looks.set(label, looks.size);
  const n = looks.get(label);
  return { hue: `k${n % 8}`, shape: (n + 3 * Math.floor(n / 8)) % 8, dash: ['', '6 3', '2 3', '9 3 2 3'][Math.floor(n / 2) % 4] };
}
cells.forEach((cell) => look(cell.label));
const drawn = (cell) => cell.status === 'finished' || cell.status === 'unfinished';
const median = (cell, name) => (name && name in cell.figures && finite(cell.figures[name].median) ? cell.figures[name].median : null);
const spread = (cell, name) => {
  const one = cell.figures[name];
  return `${quantity(one.median, unitOf(name))} (${quantity(one.least, unitOf(name))} to ${quantity(one.greatest, unitOf(name))})`;
};
const paper = (w, h, said) => sv('svg', { width: w, height: h, viewBox: `0 0 ${w} ${h}`, role: 'img', 'aria-label': said });

function forest(name) {
  const has = (i) => cells[i].relation === 'baseline' ? drawn(cells[i]) : cells[i].ratios[name] && finite(cells[i].ratios[name].median);
  const shown = groups
    .map((group) => ({ title: group.title, cells: group.cells.filter(has) }))
    .filter((group) => group.cells.some((i) => cells[i].ratios[name]));
  if (!shown.length) return [];
  const better = measureOf.get(name).higher_is_better;
  const draw = (w) => {
    const narrow = w < 640;
    const all = shown.flatMap((group) => group.cells);
    const ends = all.flatMap((i) => { const r = cells[i].ratios[name]; return r ? [r.median, r.low, r.high] : [1]; }).filter((x) => finite(x) && x > 0);
    const margin = Math.max(1.04, (Math.max(1, ...ends) / Math.min(1, ...ends)) ** 0.06);
    const low = Math.min(1, ...ends) / margin;
    const high = Math.max(1, ...ends) * margin;
    const left = narrow ? 8 : Math.min(260, 24 + Math.max(...all.map((i) => width(cells[i].label))));
    const right = narrow ? w - 8 : w - 150;
    const x = logarithmic(low, high, left, right);
    const row = narrow ? 42 : 28;
    const top = 24;
    const h = top + shown.reduce((sum, group) => sum + 34 + group.cells.length * row, 0) + 30;
    const svg = paper(w, h, `Ratios of ${labelOf(name)} to the baseline, with intervals`);
    const at = logTicks(low, high, clamp(Math.floor((right - left) / 56), 2, 9)).filter((t) => Math.abs(x(t) - x(1)) > 26);
    at.forEach((t) => svg.append(line(x(t), top, x(t), h - 24, 'grid'), words(x(t), h - 8, number(t).replace(/\.?0+$/, '') + '×', 'soft', 'middle')));
    svg.append(line(x(1), top - 4, x(1), h - 24, 'one'), words(x(1), h - 8, '1', 'strong', 'middle'));
    if (x(1) - left > 70) svg.append(words(x(1) - 8, 12, better ? '← worse' : '← better', 'soft', 'end'));
    if (w - x(1) > 70) svg.append(words(x(1) + 8, 12, better ? 'better →' : 'worse →', 'soft'));
    let y = top;
    shown.forEach((group) => {
      y += 34;
      svg.append(words(0, y - 10, shortened(group.title, w, true), 'strong halo'));
      group.cells.forEach((i) => {
        const cell = cells[i];
        const ratio = cell.ratios[name];
        const base = cell.relation === 'baseline';
        const g = sv('g', { 'data-mark': i });
        const mid = narrow ? y + 28 : y + row / 2;
        const said = base ? '1 (baseline)' : finite(ratio.low) && finite(ratio.high)
          ? `${nearOne(ratio.median)} (${nearOne(ratio.low)} to ${nearOne(ratio.high)})` : `${nearOne(ratio.median)} (no interval)`;
        const text = narrow ? y + 14 : mid + 4;
        g.append(sv('rect', { x: 0, y, width: w, height: row, fill: 'transparent' }));
        g.append(words(narrow ? 0 : 8, text, shortened(cell.label, narrow ? w - width(said) - 24 : left - 16), 'halo'));
        g.append(words(w, text, said, base ? 'soft halo' : 'halo', 'end'));
        let tone = 'same';
        if (!base && finite(ratio.low) && finite(ratio.high)) {
          if (ratio.low > 1) tone = better ? 'better' : 'worse';
          if (ratio.high < 1) tone = better ? 'worse' : 'better';
          g.append(line(x(ratio.low), mid, x(ratio.high), mid, `stroke ${tone}`, { 'stroke-width': 3.5, 'stroke-linecap': 'round' }));
        }
        const other = cell.relation === 'another computation';
        g.append(mark(x(base ? 1 : ratio.median), mid, base ? 4 : 5, base ? 1 : other ? 3 : 0, (other ? 'hollow ' : 'fill ') + tone));
        svg.append(tell(g, `${cell.name}\n${base ? 'the baseline' : ratio.said}\n${cell.standing}`));
        y += row;
      });
    });
    return svg;
  };
  return [{ draw }];
}

function axes(svg, box, x, y) {
  x.at.forEach((t) => svg.append(line(x.of(t), box.top, x.of(t), box.bottom, 'grid'), words(x.of(t), box.bottom + 17, x.text(t), 'soft', 'middle')));
  y.at.forEach((t) => svg.append(line(box.left, y.of(t), box.right, y.of(t), 'grid'), words(box.left - 7, y.of(t) + 4, y.text(t), 'soft', 'end')));
  svg.append(line(box.left, box.bottom, box.right, box.bottom, 'axis'));
  svg.append(words(box.right, box.bottom + 36, shortened(x.name, box.right), 'soft', 'end'), words(0, 11, shortened(y.name, box.right), 'soft'));
}
function linearAxis(values, unit, name, from, to, most, zero) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  // A tenth on both sides at least, or what is noise would fill the chart.
  const margin = Math.max((high - low) * 0.1, (Math.abs(high + low) * 0.1 - (high - low)) / 2) || 1;
  const start = zero ? 0 : Math.max(low >= 0 ? 0 : -Infinity, low - margin);
  const end = zero ? high : high + margin;
  const by = scaleOf(high, unit);
  const found = ticks(start / by.by, end / by.by, most);
  return { of: linear(start, end, from, to), at: found.at.map((t) => t * by.by), text: (t) => tickText(t / by.by, found.step), name: titled(name, by.name) };
}

function scatter() {
  const { speed, memory } = columns;
  if (!speed || !memory) return [];
  return groups.map((group) => {
    const shown = group.cells.filter((i) => drawn(cells[i]) && median(cells[i], speed) !== null && median(cells[i], memory) !== null);
    const draw = (w) => {
      const h = clamp(w * 0.68, 250, 380);
      const box = { left: 50, right: w - 12, top: 24, bottom: h - 44 };
      const svg = paper(w, h, `${labelOf(speed)} against ${labelOf(memory)}${group.title && `: ${group.title}`}`);
      const both = (name) => shown.flatMap((i) => [cells[i].figures[name].least, cells[i].figures[name].greatest]);
      const x = linearAxis(both(memory), unitOf(memory), labelOf(memory), box.left, box.right, clamp(w / 85, 3, 7));
      const y = linearAxis(both(speed), unitOf(speed), labelOf(speed), box.bottom, box.top, 5);
      axes(svg, box, x, y);
      const points = shown.map((i) => ({ i, cell: cells[i], x: x.of(median(cells[i], memory)), y: y.of(median(cells[i], speed)) }));
      const up = measureOf.get(speed).higher_is_better ? 1 : -1;
      const front = points.filter((p) => p.cell.comparable).sort((a, b) => a.x - b.x || up * (a.y - b.y))
        .reduce((kept, p) => (kept.length && up * p.y >= up * kept[kept.length - 1].y ? kept : [...kept, p]), []);
      if (front.length) {
        const last = front[front.length - 1];
        const path = front.map((p, n) => (n ? `H${p.x}V${p.y}` : `M${p.x},${up > 0 ? box.bottom : box.top}V${p.y}`)).join('');
        svg.append(sv('path', { d: `${path}H${Math.max(last.x, box.right)}`, class: 'front' }));
      }
      const taken = points.map((p) => [p.x - 7, p.y - 7, p.x + 7, p.y + 7]);
      front.forEach((p, n) => taken.push([p.x, p.y - 1, n + 1 < front.length ? front[n + 1].x : box.right, p.y + 1]));
      const free = (a) => a[0] >= box.left - 4 && a[2] <= w && a[1] >= 12 && a[3] <= box.bottom && taken.every((b) => a[2] < b[0] || a[0] > b[2] || a[3] < b[1] || a[1] > b[3]);
      points.forEach((p) => {
        const { hue, shape } = look(p.cell.label);
        const g = sv('g', { 'data-mark': p.i, class: hue });
        const wide = p.cell.figures[memory];
        const tall = p.cell.figures[speed];
        g.append(line(x.of(wide.least), p.y, x.of(wide.greatest), p.y, 'stroke'), line(p.x, y.of(tall.least), p.x, y.of(tall.greatest), 'stroke'));
        g.append(mark(p.x, p.y, 5.5, shape, p.cell.comparable ? 'fill' : 'hollow'));
        const said = shortened(p.cell.label, 150);
        const long = width(said);
        const places = [[p.x + 10, p.y + 4], [p.x - 10 - long, p.y + 4], [p.x - long / 2, p.y - 11], [p.x - long / 2, p.y + 20],
          [p.x + 8, p.y - 8], [p.x + 8, p.y + 17], [p.x - 8 - long, p.y - 8], [p.x - 8 - long, p.y + 17]];
        const place = places.find(([a, b]) => free([a, b - 11, a + long, b + 3]));
        if (place) {
          taken.push([place[0], place[1] - 11, place[0] + long, place[1] + 3]);
          g.append(words(place[0], place[1], said, p.cell.comparable ? 'halo' : 'soft halo'));
        }
        svg.append(tell(g, `${p.cell.name}\n${spread(p.cell, speed)} ${unitOf(speed)}\n${spread(p.cell, memory)}\n${p.cell.standing}`));
      });
      return svg;
    };
    return shown.length ? { title: group.title, draw, cells: shown } : null;
  }).filter(Boolean);
}

function stepTimes() {
  return groups.map((group) => {
    const series = group.cells.filter((i) => drawn(cells[i]))
      .map((i) => ({ i, sorted: cells[i].step_seconds.filter(finite).sort((a, b) => a - b) })).filter((one) => one.sorted.length);
    if (!series.length) return null;
    const draw = (w) => {
      const row = 44;
      const h = 24 + series.length * row + 44;
      const box = { left: 4, right: w - 10, top: 6, bottom: h - 44 };
      const svg = paper(w, h, `Step times${group.title && `: ${group.title}`}`);
      const most = Math.max(...series.map((one) => Math.max(quantile(one.sorted, 0.95) * 1.15, quantile(one.sorted, 0.75) * 1.5)));
      const x = linearAxis([0, Math.min(most, Math.max(...series.map((one) => one.sorted[one.sorted.length - 1])) * 1.04)], 's', 'step time', box.left, box.right, clamp(w / 80, 3, 7), true);
      axes(svg, box, x, { at: [], name: '' });
      series.forEach(({ i, sorted }, n) => {
        const cell = cells[i];
        const y = 36 + n * row;
        const g = sv('g', { 'data-mark': i, class: look(cell.label).hue });
        const [a, b, c, d, e] = [0.05, 0.25, 0.5, 0.75, 0.95].map((share) => x.of(quantile(sorted, share)));
        const beyond = sorted.filter((s) => x.of(s) > box.right + 1).length;
        const every = Math.max(1, Math.ceil(sorted.length / 160));
        const dots = sorted.filter((_, k) => k % every === 0).filter((s) => x.of(s) <= box.right + 1);
        g.append(sv('rect', { x: 0, y: y - 22, width: w, height: row, fill: 'transparent' }));
        const said = quantity(quantile(sorted, 0.5), 's') + (beyond ? `, ${beyond} beyond →` : '');
        g.append(words(box.left, y - 9, shortened(cell.label, w - width(said) - 30), 'halo'), words(box.right, y - 9, said, 'soft halo', 'end'));
        dots.forEach((s, k) => g.append(sv('circle', { cx: x.of(s).toFixed(1), cy: (y + 6 + (((k * 7) % 11) - 5) * 1.3).toFixed(1), r: 1.6, class: 'dot' })));
        const upto = Math.min(e, box.right);
        g.append(line(a, y + 6, upto, y + 6, 'stroke', { 'stroke-width': 1.25 }));
        g.append(sv('rect', { x: b, y: y - 1, width: Math.max(1, d - b), height: 14, rx: 2, class: 'wash' }));
        g.append(line(c, y - 3, c, y + 15, 'stroke', { 'stroke-width': 2.5 }));
        svg.append(tell(g, `${cell.name}\nmedian ${quantity(quantile(sorted, 0.5), 's')}, 5% to 95%: ${quantity(quantile(sorted, 0.05), 's')} to ${quantity(quantile(sorted, 0.95), 's')}\n${sorted.length} steps`));
      });
      return svg;
    };
    return { title: group.title, draw };
  }).filter(Boolean);
}

function losses(hidden) {
  return groups.map((group) => {
    const shown = group.cells.filter((i) => drawn(cells[i]) && cells[i].losses.some(finite));
    if (!shown.length) return null;
    const draw = (w) => {
      const h = clamp(w * 0.62, 230, 340);
      const box = { left: 44, right: w - 10, top: 24, bottom: h - 44 };
      const svg = paper(w, h, `Loss by step${group.title && `: ${group.title}`}`);
      const seen = shown.filter((i) => !hidden.has(cells[i].label));
      const of = seen.length ? seen : shown;
      const steps = Math.max(2, ...of.map((i) => cells[i].losses.length));
      const values = of.flatMap((i) => [...cells[i].losses, ...cells[i].validation.map(([, v]) => v)]).filter(finite).sort((a, b) => a - b);
      const y = linearAxis([values[0], values[values.length - 1]], 'nats', 'loss', box.bottom, box.top, 5);
      const x = { ...linearAxis([1, steps], '', 'step', box.left, box.right, clamp(w / 80, 3, 8), true), of: linear(1, steps, box.left, box.right) };
      x.at = x.at.filter((t) => t >= 1 && Number.isInteger(t));
      axes(svg, box, x, y);
      // Curves that lie on each other are drawn as a ribbon, the first the broadest, so that each can be told.
      const near = (values[values.length - 1] - values[0]) * 0.006;
      const on = (a, b) => a.length === b.length && a.every((v, k) => Math.abs(v - b[k]) <= near || (v === null && b[k] === null));
      const ribbons = seen.reduce((kept, i) => {
        const mine = kept.find((ribbon) => on(cells[ribbon[0]].losses, cells[i].losses));
        if (mine) mine.push(i);
        else kept.push([i]);
        return kept;
      }, []);
      const agree = Math.max(0, ...ribbons.map((one) => one.length));
      if (agree > 1) svg.append(words(box.right, 11, agree === seen.length ? `all ${agree} curves agree` : `${agree} of ${seen.length} curves agree`, 'soft', 'end'));
      ribbons.flat().forEach((i) => {
        const cell = cells[i];
        const { hue, shape, dash } = look(cell.label);
        const ribbon = ribbons.find((one) => one.includes(i));
        const broad = 1.75 + Math.min(2.5, 9 / ribbon.length) * (ribbon.length - 1 - ribbon.indexOf(i));
        const every = Math.max(1, Math.ceil(cell.losses.length / 500));
        let pen = 'M';
        let path = '';
        for (let k = 0; k < cell.losses.length; k += every) {
          const part = cell.losses.slice(k, k + every).filter(finite);
          if (part.length) {
            path += `${pen}${x.of(k + (part.length + 1) / 2).toFixed(1)},${y.of(part.reduce((p, q) => p + q, 0) / part.length).toFixed(1)}`;
            pen = 'L';
          } else pen = 'M';
        }
        const g = sv('g', { 'data-mark': i, class: hue });
        g.append(sv('path', { d: path, class: 'stroke', 'stroke-width': broad, 'stroke-dasharray': ribbon.length > 1 ? null : dash || null, 'stroke-linejoin': 'round' }));
        cell.validation.filter(([s, v]) => finite(v) && s >= 1 && s <= steps).forEach(([s, v]) => g.append(mark(x.of(s), y.of(v), 4, shape, 'hollow')));
        const last = cell.losses.filter(finite);
        svg.append(tell(g, `${cell.name}\n${last.length} steps, last loss ${quantity(last[last.length - 1], 'nats')}\n${cell.standing}`));
      });
      return svg;
    };
    return { title: group.title, draw, cells: shown, toggles: hidden };
  }).filter(Boolean);
}

function growth(sweep) {
  return [...new Set(sweep.slopes.map((one) => one.measure))].map((name) => {
    const shown = sweep.slopes.filter((one) => one.measure === name)
      .map((one) => ({ ...one, points: one.points.filter(([a, b]) => a > 0 && b > 0 && finite(a) && finite(b)) })).filter((one) => one.points.length);
    if (!shown.length) return null;
    const draw = (w) => {
      const h = clamp(w * 0.68, 240, 380);
      const box = { left: 50, right: w - 14, top: 24, bottom: h - 44 };
      const svg = paper(w, h, `${labelOf(name)} against ${sweep.setting}`);
      const axis = (k, unit, label, from, to, most) => {
        const all = shown.flatMap((one) => one.points.map((p) => p[k]));
        const [low, high] = [Math.min(...all) / 1.15, Math.max(...all) * 1.15];
        const by = scaleOf(high, unit);
        const own = [...new Set(all)].sort((a, b) => a - b);
        const at = k === 0 && own.length <= most ? own : logTicks(low / by.by, high / by.by, most).map((t) => t * by.by);
        return { of: logarithmic(low, high, from, to), at, text: (t) => String(Number((t / by.by).toPrecision(6))), name: titled(label, by.name) };
      };
      const x = axis(0, '', sweep.setting, box.left, box.right, clamp(Math.floor(w / 60), 3, 10));
      const y = axis(1, unitOf(name), labelOf(name), box.bottom, box.top, 6);
      axes(svg, box, x, y);
      shown.forEach((one) => {
        const { hue, shape, dash } = look(one.cells);
        const mean = (k) => Math.exp(one.points.reduce((sum, p) => sum + Math.log(p[k]), 0) / one.points.length);
        const fit = (v) => mean(1) * (v / mean(0)) ** one.exponent;
        const from = Math.min(...one.points.map((p) => p[0]));
        const to = Math.max(...one.points.map((p) => p[0]));
        const g = sv('g', { class: hue });
        if (to > from && finite(one.exponent)) g.append(line(x.of(from), y.of(fit(from)), x.of(to), y.of(fit(to)), 'stroke', { 'stroke-width': 1.75, 'stroke-dasharray': dash || null }));
        one.points.forEach((p) => g.append(mark(x.of(p[0]), y.of(p[1]), 4.5, shape, 'fill')));
        svg.append(tell(g, `${one.cells}\n${one.said}`));
      });
      return svg;
    };
    return { title: opening(labelOf(name)), draw, said: shown };
  }).filter(Boolean);
}
