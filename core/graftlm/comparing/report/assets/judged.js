// A judged table sorts by a click on a heading, the other way by a second one, and is as it was after a third.
document.querySelectorAll('table.sorts').forEach((table) => {
  const body = table.tBodies[0];
  const asWritten = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const worth = (row, n) => { const said = row.cells[n].dataset.value; return said ? Number(said) : null; };
  headings.forEach((heading, n) => {
    const button = el('button', { type: 'button' }, heading.textContent);
    button.addEventListener('click', () => {
      const now = heading.getAttribute('aria-sort');
      const next = { descending: 'ascending', ascending: null }[now] ?? (now ? null : 'descending');
      headings.forEach((one) => one.removeAttribute('aria-sort'));
      if (next) heading.setAttribute('aria-sort', next);
      const way = next === 'descending' ? -1 : 1;
      const compare = (a, b) => {
        const [x, y] = [worth(a, n), worth(b, n)];
        return x === null || y === null ? (x === null) - (y === null) : way * (x - y);
      };
      body.append(...(next ? [...asWritten].sort(compare) : asWritten));
    });
    heading.replaceChildren(button);
  });
});
// On paper all figures stand open.
addEventListener('beforeprint', () => document.querySelectorAll('.every, .panel details').forEach((one) => { one.open = true; }));
