// The page: its charts at the width that there is, and a table that sorts, filters, opens and lights up.
const root = document.documentElement;
const failures = [];
function fail(what) {
  failures.push(String(what));
  root.dataset.failures = JSON.stringify(failures);
}
addEventListener('error', (event) => fail(event.message));

const swatch = (label, hollow) => {
  const { hue, shape } = look(label);
  return sv('svg', { width: 16, height: 16, class: hue, 'aria-hidden': 'true' }, mark(8, 8, 5, shape, hollow ? 'hollow' : 'fill'));
};
function light(which) {
  root.classList.toggle('dimming', which !== null);
  document.querySelectorAll('.bright, .lit').forEach((one) => one.classList.remove('bright', 'lit'));
  if (which === null) return;
  document.querySelectorAll(`[data-mark="${which}"]`).forEach((one) => one.classList.add('bright'));
  document.querySelector(`tr[data-cell="${which}"]`).classList.add('lit');
}
function lights(target, which) {
  for (const name of ['pointerenter', 'focusin']) target.addEventListener(name, () => light(which));
  for (const name of ['pointerleave', 'focusout']) target.addEventListener(name, () => light(null));
}

const plots = [];
function draw(plot) {
  const room = Math.floor(plot.host.clientWidth);
  if (room < 40) return;
  plot.room = room;
  try {
    plot.host.replaceChildren(plot.panel.draw(room));
  } catch (error) {
    plot.host.replaceChildren(el('p', { class: 'how' }, 'This chart could not be drawn.'));
    fail(error.stack || error);
  }
}
function legend(panel, redraw) {
  return el('div', { class: 'legend' }, panel.cells.map((i) => {
    const cell = cells[i];
    if (!panel.toggles) {
      const key = el('span', null, swatch(cell.label, !cell.comparable), cell.label);
      lights(key, i);
      return key;
    }
    const button = el('button', { type: 'button', 'aria-pressed': String(!panel.toggles.has(cell.label)) }, swatch(cell.label, !cell.comparable), cell.label);
    button.addEventListener('click', () => {
      if (!panel.toggles.delete(cell.label)) panel.toggles.add(cell.label);
      redraw();
    });
    lights(button, i);
    return button;
  }));
}
function section(id, title, how, panels, one, where = 'charts') {
  if (!panels.length) return;
  const hosts = el('div', { class: one ? 'panels one' : 'panels' });
  const legends = [];
  const redraw = () => {
    plots.filter((plot) => hosts.contains(plot.host)).forEach(draw);
    legends.forEach(([panel, old]) => old.querySelectorAll('button').forEach((button, n) => {
      button.setAttribute('aria-pressed', String(!panel.toggles.has(cells[panel.cells[n]].label)));
    }));
  };
  const made = el('section', { id }, el('h2', null, title), el('p', { class: 'how' }, how), hosts);
  document.getElementById(where).append(made);
  for (const panel of panels) {
    const host = el('div', { class: 'plot' });
    const figure = el('div', { class: 'panel' }, panel.title && el('h3', null, panel.title), host);
    if (panel.toggles) {
      const under = legend(panel, redraw);
      legends.push([panel, under]);
      figure.append(under);
    }
    // Few points have their names beside them; of many, some find no room.
    if (panel.cells && !panel.toggles && panel.cells.length > 7) figure.append(legend(panel));
    if (panel.said) figure.append(el('ul', { class: 'said' }, panel.said.map((one) => el('li', null, swatch(one.cells), el('span', null, `${one.cells}: ${one.said}`)))));
    hosts.append(figure);
    plots.push({ host, panel });
  }
  redraw();
  return made;
}

function ratios() {
  const offered = measures.filter((one) => one.compared && forest(one.name).length);
  if (!offered.length) return;
  const panel = { draw: null };
  const made = section('ratios', 'Against the baseline',
    'The ratio to the baseline of each group: the median over rounds and its 95% interval. Where the interval holds 1, no difference is shown. A hollow diamond is another computation.',
    [{ draw: (w) => panel.draw(w) }].map((one) => { panel.draw = forest(offered[0].name)[0].draw; return one; }), true, 'first');
  if (offered.length < 2) return;
  const buttons = offered.map((one, n) => {
    const button = el('button', { type: 'button', 'aria-pressed': String(n === 0) }, opening(one.label));
    button.addEventListener('click', () => {
      panel.draw = forest(one.name)[0].draw;
      buttons.forEach((other) => other.setAttribute('aria-pressed', String(other === button)));
      plots.filter((plot) => made.contains(plot.host)).forEach(draw);
    });
    return button;
  });
  made.querySelector('.how').after(el('div', { class: 'choose', role: 'group', 'aria-label': 'Measure' }, buttons));
}

// The state of the table stands in the address, so that a link shows what its sender saw.
const state = { sort: '', down: false, filter: '', group: '', only: '' };
function read() {
  const told = new URLSearchParams(location.hash.slice(1));
  const [sort, way] = (told.get('sort') || '').split(':');
  Object.assign(state, { sort, down: way === 'down', filter: told.get('filter') || '', group: told.get('group') || '', only: told.get('only') || '' });
}
function write() {
  const told = new URLSearchParams();
  if (state.sort) told.set('sort', state.sort + (state.down ? ':down' : ''));
  for (const name of ['filter', 'group', 'only']) if (state[name]) told.set(name, state[name]);
  try {
    history.replaceState(null, '', '#' + told);
  } catch { /* an address that may not be written: the table works all the same */ }
}
const bodies = [...document.querySelectorAll('tbody[data-group]')];
const rows = [...document.querySelectorAll('#cells tr.cell')].map((row, order) => ({
  row, order, body: row.parentNode, cell: cells[Number(row.dataset.cell)], more: row.nextElementSibling,
}));
const heads = [...document.querySelectorAll('#cells thead th')];
function worth({ row, cell }, key) {
  const at = row.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!at) return null;
  if (key === 'name') return cell.name;
  if (key === 'standing') return cell.standing;
  return at.dataset.value ? Number(at.dataset.value) : null;
}
function arrange() {
  const known = heads.some((head) => head.dataset.key === state.sort) ? state.sort : '';
  const sorted = [...rows].sort((a, b) => {
    if (!known) return a.order - b.order;
    const [x, y] = [worth(a, known), worth(b, known)];
    if (x === null || y === null) return (x === null) - (y === null) || a.order - b.order;
    const less = typeof x === 'string' ? x.localeCompare(y, 'en', { numeric: true }) : x - y;
    return (state.down ? -less : less) || a.order - b.order;
  });
  const wanted = state.filter.toLowerCase();
  for (const one of sorted) {
    one.body.append(one.row, one.more);
    const said = [one.cell.name, one.cell.standing, one.cell.reason, ...Object.values(one.cell.settings)].join(' ').toLowerCase();
    one.row.hidden = !((!wanted || said.includes(wanted)) && (state.only !== 'comparable' || one.cell.comparable) && (!state.group || one.body.dataset.group === state.group));
    one.more.hidden = one.row.hidden || !one.open;
  }
  bodies.forEach((body) => { body.hidden = !rows.some((one) => one.body === body && !one.row.hidden); });
  heads.forEach((head) => {
    if (head.dataset.key === known) head.setAttribute('aria-sort', state.down ? 'descending' : 'ascending');
    else head.removeAttribute('aria-sort');
  });
}
function changed() {
  write();
  arrange();
  show();
}
let show = () => {};
function table() {
  const said = new Map();
  heads.forEach((head) => {
    said.set(head.dataset.key, head.textContent);
    const button = el('button', { type: 'button' }, head.textContent);
    button.addEventListener('click', () => {
      const key = head.dataset.key;
      const first = ['speed', 'ratio', 'gate'].includes(key);
      if (state.sort !== key) Object.assign(state, { sort: key, down: first });
      else if (state.down === first) state.down = !first;
      else Object.assign(state, { sort: '', down: false });
      changed();
    });
    head.replaceChildren(button);
  });
  rows.forEach((one) => {
    const name = one.row.querySelector('.name');
    const button = el('button', { type: 'button', class: 'name', 'aria-expanded': 'false' }, name.textContent);
    button.addEventListener('click', () => {
      one.open = !one.open;
      button.setAttribute('aria-expanded', String(one.open));
      one.more.hidden = !one.open;
    });
    name.replaceWith(button);
    lights(one.row, one.row.dataset.cell);
  });
  const search = el('input', { type: 'search', placeholder: 'Filter cells', 'aria-label': 'Filter cells' });
  search.addEventListener('input', () => { state.filter = search.value; changed(); });
  const choice = el('select', { 'aria-label': 'Group' }, el('option', { value: '' }, 'All groups'), groups.map((one, n) => el('option', { value: n }, one.title)));
  choice.addEventListener('change', () => { state.group = choice.value; changed(); });
  const order = el('select', { 'aria-label': 'Sort by', class: 'wideless' }, el('option', { value: '' }, 'As reported'),
    [...said].flatMap(([key, label]) => [el('option', { value: key }, `${label} ↑`), el('option', { value: `${key}:down` }, `${label} ↓`)]));
  order.addEventListener('change', () => { const [sort, way] = order.value.split(':'); Object.assign(state, { sort, down: way === 'down' }); changed(); });
  const only = el('input', { type: 'checkbox' });
  only.addEventListener('change', () => { state.only = only.checked ? 'comparable' : ''; changed(); });
  document.getElementById('tools').append(search, groups.length > 1 ? choice : '', order, el('label', null, only, judged ? 'finished only' : 'comparable only'));
  show = () => {
    if (search.value !== state.filter) search.value = state.filter;
    choice.value = state.group;
    order.value = state.sort + (state.sort && state.down ? ':down' : '');
    only.checked = state.only === 'comparable';
  };
  addEventListener('hashchange', () => { read(); arrange(); show(); });
}

read();
table();
arrange();
show();
const hidden = new Set();
for (const chart of [
  ratios,
  () => section('memory', 'Speed against memory', `Up and to the left is better. The dashed line is the Pareto front of ${judged ? 'the finished cells.' : 'the cells of the same computation; hollow marks do not count for it. Thin lines go from the least round to the greatest.'}`, scatter()),
  () => section('steps', 'Step times', `${judged ? 'W' : 'Of all rounds, w'}arm-up left out: the box holds the middle half, the thin line 5% to 95%, the thick line is the median.`, stepTimes()),
  () => section('losses', 'Loss curves', `${judged ? 'L' : 'Of the first round, l'}aid over each other: curves that agree make one ribbon, a stripe for each cell. Small marks are validation. A click on a name hides or shows it.`, losses(hidden)),
  ...sweeps.map((sweep, n) => () => section(n ? `sweep-${n + 1}` : 'sweep', `As ${sweep.setting} grows`, 'Both axes are logarithmic: a straight line is a power, and its slope the exponent.', growth(sweep))),
]) {
  try {
    chart();
  } catch (error) {
    fail(error.stack || error);
  }
}
let waiting = 0;
const again = () => plots.filter((plot) => Math.floor(plot.host.clientWidth) !== plot.room).forEach(draw);
new ResizeObserver(() => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(again); }).observe(document.body);
addEventListener('beforeprint', again);
root.dataset.charts = String(document.querySelectorAll('.plot svg').length);
root.dataset.ready = 'true';
