// The live board. It shows the documents of /api/v1/board and /api/v1/stream and decides nothing: which level colours
// which cell comes from the service. Its own work is to say loudly when the figures stop being of now.
'use strict';

const SIGNS = { ok: '✓', info: '◆', warning: '▲', critical: '■' };
const RANK = { ok: 0, info: 1, warning: 2, critical: 3 };
const ICON = { none: '#5c6570', ok: '#1a7f43', info: '#0b5cad', warning: '#e0a000', critical: '#d4212d' };
const INCIDENTS_SHOWN = 24;
const SILENT_MS = 4000; // a document comes every second
const BEHIND_S = 5; // the figures are promised to be at most this old

const $ = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const polls = asked.has('poll'); // for what stands between and lets no stream through
let language = WORDS[asked.get('lang')] ? asked.get('lang') : null;
let words = WORDS[language || 'es'];
let view = null;
let shown = null; // what is on the page: { at: performance.now() then, time, age }
let stream = null;
let openDefinition = null;
let known = null; // incident id -> level, to say what changes

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

// -- numbers as people read them --
function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 600) return `${Math.floor(s / 60)}m ${String(s % 60).padStart(2, '0')}s`;
  const m = Math.round(s / 60);
  if (m < 60) return `${m} min`;
  if (m < 2880) return `${Math.floor(m / 60)}h ${String(m % 60).padStart(2, '0')}m`;
  return `${Math.floor(m / 1440)}d ${Math.floor((m % 1440) / 60)}h`;
}
const plain = (number, digits) => new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(number);
function figure(value, unit) {
  if (value === null || value === undefined) return '–';
  if (unit === 'seconds') return duration(value);
  if (unit === 'ratio') return `${plain(value * 100, value < 0.1 ? 1 : 0)} %`;
  return plain(value, 1);
}
function clock(time) {
  const options = { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false, timeZone: zone() };
  return new Intl.DateTimeFormat(language, options).format(new Date(time));
}
// That of the service, unless the browser does not know it.
function zone() {
  try {
    return new Intl.DateTimeFormat(language, { timeZone: view.time_zone }).resolvedOptions().timeZone;
  } catch {
    return new Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
}
function place(item) {
  const names = [item.queue, item.channel].filter((name) => name !== undefined);
  return names.length ? names.join(' · ') : words.all;
}
const columnName = (id) => words.columns[id] || id;
// `>= 80%` as people write it: `≥ 80 %`.
function bounds(written) {
  return written.replace('>=', '≥').replace('<=', '≤').replace(/ ?\.\. ?/, ' – ').replace(/(\d) ?%/g, '$1 %');
}
function labels(alert) {
  const said = [alert.window];
  if (alert.threshold) said.push(`≤ ${alert.threshold}`);
  // What a row leaves out is not said.
  if (alert.treatment !== 'offered') said.push(alert.treatment);
  for (const name of ['state', 'stage', 'clock']) said.push(alert[name]);
  return said.filter(Boolean).join(', ');
}

// -- words --
function applyLanguage() {
  words = WORDS[language];
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll('[data-text]')) setText(node, words[node.dataset.text]);
  for (const node of document.querySelectorAll('[data-placeholder]')) node.placeholder = words[node.dataset.placeholder];
  const legend = $('legend');
  legend.replaceChildren(
    ...Object.keys(SIGNS).map((level) => element('span', `level ${level}`, words.levels[level])),
    element('span', '', words.legend),
  );
}

// -- the top of the page --
function showStaleness() {
  const banner = $('stale');
  let text = '';
  if (shown === null) {
    if (performance.now() > SILENT_MS) text = words.never;
  } else {
    const silence = performance.now() - shown.at;
    const age = duration(shown.age + silence / 1000);
    if (silence > SILENT_MS) text = fill(words.stale, { time: clock(shown.time), age });
    else if (shown.age > BEHIND_S) text = fill(words.behind, { time: clock(shown.time), age });
  }
  setText(banner, text);
  banner.hidden = text === '';
  document.body.classList.toggle('old', text !== '');
  showTitle(text !== '');
}

function showTitle(old) {
  const counts = { critical: 0, warning: 0, info: 0 };
  for (const alert of view ? view.alerts : []) counts[alert.to] += 1;
  const parts = Object.keys(counts).filter((level) => counts[level]).map((level) => SIGNS[level] + counts[level]);
  const title = [old ? '⚠ ?' : '', ...parts, 'Atalaya'].filter(Boolean).join(' ');
  if (document.title !== title) document.title = title;
  // Green is only for figures of now that somebody watches.
  let worst = Object.keys(counts).find((level) => counts[level]) || (view && view.cases && view.readiness.ready ? 'ok' : 'none');
  if (old) worst = 'none';
  const shape = { none: 'M4 7h8v2H4z', ok: 'M8 2a6 6 0 100 12A6 6 0 008 2z', info: 'M8 1l7 7-7 7-7-7z', warning: 'M8 1l7 13H1z', critical: 'M1 1h14v14H1z' }[worst];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="${ICON[worst]}" d="${shape}"/></svg>`;
  const href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  if ($('icon').href !== href) $('icon').href = href;
  const tally = $('tally');
  const said = Object.keys(counts).filter((level) => counts[level]);
  const signature = said.map((level) => level + counts[level]).join() + language;
  if (tally.dataset.signature !== signature) {
    tally.dataset.signature = signature;
    tally.replaceChildren(...said.map((level) => element('span', `level ${level}`, `${counts[level]} ${words.levels[level]}`)));
  }
}

function showList(id, lead, items) {
  const banner = $(id);
  const signature = JSON.stringify([lead, items]);
  if (banner.dataset.signature === signature) return;
  banner.dataset.signature = signature;
  banner.hidden = items.length === 0;
  const list = element('ul');
  list.append(...items.map((item) => element('li', '', item)));
  banner.replaceChildren(element('span', '', lead), list);
}

function showWindows() {
  const select = $('window');
  if (select.options.length === view.windows.length) return;
  select.replaceChildren(...view.windows.map((label) => new Option(label, label, false, label === view.window)));
}

// -- incidents --
const itemParts = new WeakMap();

// Items are kept by their id, so that a selection, the focus or the reading place of a screen reader stays where it is.
function keepItems(list, items, idOf, make, fillIn) {
  const old = new Map([...list.children].map((item) => [item.dataset.id, item]));
  items.forEach((each, index) => {
    let item = old.get(idOf(each));
    old.delete(idOf(each));
    if (!item) {
      item = element('li');
      item.dataset.id = idOf(each);
      itemParts.set(item, make(item, each));
    }
    fillIn(item, itemParts.get(item), each);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] || null);
  });
  for (const item of old.values()) item.remove();
}

function showIncidents() {
  const shown = view.alerts.slice(0, INCIDENTS_SHOWN);
  setText($('incidents-count'), view.alerts.length ? String(view.alerts.length) : '');
  const rest = view.alerts.length - shown.length;
  const quiet = view.alerts.length ? (rest > 0 ? fill(words.moreIncidents, { n: rest }) : '') : view.cases ? words.none : words.noCases;
  setText($('no-incidents'), quiet);
  $('no-incidents').hidden = quiet === '';
  keepItems($('incidents'), shown, (alert) => alert.incident, makeIncident, fillIncident);
  sayChanges();
}

function makeIncident(card) {
  const parts = {};
  for (const part of ['where', 'level', 'what', 'since', 'figure', 'action', 'seen']) parts[part] = card.appendChild(element('div', part));
  parts.by = parts.seen.appendChild(element('span'));
  for (const [button, press] of [
    ['press', () => askAcknowledge(parts.alert, parts.hush)],
    ['hush', () => askSilence(about(parts.alert), parts.alert, parts.alert.to)],
  ]) {
    parts[button] = parts.seen.appendChild(element('button'));
    parts[button].type = 'button';
    parts[button].addEventListener('click', press);
  }
  for (const part of ['value', 'goal', 'entry']) parts[part] = parts.figure.appendChild(element('span', part));
  return parts;
}

function fillIncident(card, parts, alert) {
  parts.alert = alert;
  card.className = `incident ${alert.to}${alert.closed_hours ? ' closed' : ''}`;
  parts.level.className = `level ${alert.to}`;
  const beside = [alert.closed_hours && words.closed, alert.frozen && words.frozen, alert.silenced.length && words.silenced].filter(Boolean);
  setText(parts.level, words.levels[alert.to] + (beside.length ? ` (${beside.join(', ')})` : ''));
  setText(parts.where, place(alert));
  setText(parts.what, `${columnName(alert.indicator)}${labels(alert) ? ` (${labels(alert)})` : ''} · ${alert.matrix}`);
  setText(parts.since, `${words.since} ${duration((Date.parse(view.time) - Date.parse(alert.since)) / 1000)}`);
  parts.since.title = clock(alert.since);
  setText(parts.value, alert.value_now === null ? words.noValue : figure(alert.value_now, alert.unit));
  setText(parts.goal, alert.goal ? `${words.goal} ${bounds(alert.goal)}` : '');
  setText(parts.entry, `${words.atEntry} ${figure(alert.value, alert.unit)}`);
  const seen = alert.acknowledged;
  setText(parts.by, seen ? fill(words.seenBy, { who: seen.by, time: clock(seen.until) }) : '');
  parts.by.title = seen ? seen.why : '';
  parts.press.hidden = seen !== null;
  for (const [button, word] of [[parts.press, words.acknowledge], [parts.hush, words.silence]]) {
    setText(button, word);
    button.setAttribute('aria-label', `${word}: ${about(alert)}`);
  }
  const action = alert.action || words.noAction;
  if (parts.action.dataset.signature !== language + action) {
    parts.action.dataset.signature = language + action;
    parts.action.replaceChildren(element('span', 'hint', words.todo), document.createTextNode(action));
  }
}

function sayChanges() {
  const now = new Map(view.alerts.map((alert) => [alert.incident, alert]));
  if (known !== null) {
    const said = [];
    for (const [id, alert] of now) {
      const before = known.get(id);
      if (!before || before.to !== alert.to) said.push(`${words.newIncident}: ${words.levels[alert.to]}, ${place(alert)}, ${columnName(alert.indicator)}`);
    }
    for (const [id, alert] of known) {
      if (!now.has(id)) said.push(`${words.ended}: ${place(alert)}, ${columnName(alert.indicator)}`);
    }
    if (said.length) setText($('said'), said.slice(0, 5).join('. '));
  }
  known = now;
}

// -- the table --
const table = { columns: '', keys: '', rows: new Map() };

function showHead() {
  const signature = language + view.window + view.columns.map((column) => column.id).join();
  if (table.columns === signature) return;
  table.columns = signature;
  table.keys = '';
  table.rows.clear();
  const first = element('th', 'place', words.place);
  first.scope = 'col';
  first.setAttribute('role', 'columnheader');
  const heads = view.columns.map((column) => {
    const head = element('th');
    head.scope = 'col';
    head.setAttribute('role', 'columnheader');
    const button = element('button', '', columnName(column.id) + (column.instant ? '' : ` ${view.window}`));
    button.type = 'button';
    button.title = column.about || column.id;
    button.setAttribute('aria-expanded', 'false');
    button.setAttribute('aria-controls', 'definition');
    button.addEventListener('click', () => toggleDefinition(column, button));
    head.append(button);
    return head;
  });
  $('head').replaceChildren(first, ...heads);
}

function toggleDefinition(column, button) {
  const same = openDefinition === column.id;
  openDefinition = same ? null : column.id;
  for (const other of $('head').querySelectorAll('button')) other.setAttribute('aria-expanded', 'false');
  button.setAttribute('aria-expanded', String(!same));
  $('definition').hidden = same;
  $('definition').replaceChildren(element('b', '', `${columnName(column.id)} (${column.id}): `), document.createTextNode(column.about || '–'));
}

const worst = (row) => Math.max(0, ...Object.values(row.cells).map((cell) => (cell.closed_hours ? 0 : RANK[cell.level] || 0)));
const watched = (row) => Object.values(row.cells).some((cell) => cell.level);

// Rows in their order, each with what it is: all, a group (roll-up) or a member of one.
function arrange() {
  const by = $('group').value;
  const other = by === 'queue' ? 'channel' : 'queue';
  const groups = new Map();
  const arranged = [];
  for (const row of view.rows) {
    if (row.queue === undefined && row.channel === undefined) {
      arranged.push({ row, kind: 'all', name: words.all });
      continue;
    }
    if (row[by] === undefined) continue;
    if (!groups.has(row[by])) groups.set(row[by], { head: null, members: [] });
    const group = groups.get(row[by]);
    if (row[other] === undefined) group.head = row;
    else group.members.push(row);
  }
  const only = $('only').checked;
  for (const name of [...groups.keys()].sort((a, b) => a.localeCompare(b, language))) {
    let { head, members } = groups.get(name);
    if (only) {
      members = members.filter(worst);
      if (!members.length && !(head && worst(head))) continue;
    }
    // A group of one is one row, unless the roll-up is watched for itself.
    if (members.length === 1 && (!head || !watched(head))) {
      arranged.push({ row: members[0], kind: 'group', name: `${name} · ${members[0][other]}` });
      continue;
    }
    if (head) arranged.push({ row: head, kind: 'group', name });
    for (const row of members) arranged.push({ row, kind: head ? 'member' : 'group', name: head ? row[other] : `${name} · ${row[other]}` });
  }
  return arranged;
}

function showRows() {
  const arranged = arrange();
  const keys = JSON.stringify(arranged.map(({ row, kind, name }) => [row.queue, row.channel, kind, name]));
  if (table.keys !== keys) {
    table.keys = keys;
    const fresh = new Map();
    $('rows').replaceChildren(...arranged.map(({ row, kind, name }) => {
      const key = JSON.stringify([row.queue, row.channel, kind, name]);
      const made = table.rows.get(key) || makeRow(kind, name);
      fresh.set(key, made);
      return made.tr;
    }));
    table.rows = fresh;
  }
  [...table.rows.values()].forEach((made, index) => {
    const { row } = arranged[index];
    view.columns.forEach((column, at) => fillCell(made.cells[at], column, row.cells[column.id], row));
  });
  showEmptiness(arranged);
}

function makeRow(kind, name) {
  const tr = element('tr', kind);
  tr.setAttribute('role', 'row');
  const head = element('th', 'place', name);
  head.scope = 'row';
  head.setAttribute('role', 'rowheader');
  const cells = view.columns.map((column) => {
    const td = element('td', column.id === 'agents' ? 'wide' : '');
    td.setAttribute('role', 'cell');
    td.dataset.name = columnName(column.id);
    return td;
  });
  tr.append(head, ...cells);
  return { tr, cells };
}

function fillCell(td, column, cell, row) {
  const signature = JSON.stringify([cell, language]);
  if (td.dataset.signature === signature) return;
  td.dataset.signature = signature;
  const empty = !cell || cell.value === null;
  // Without a value a level of ok is left unsaid: nothing measured is not well.
  const level = cell && cell.level && !(empty && cell.level === 'ok' && !cell.of) ? cell.level : null;
  const classes = [column.id === 'agents' ? 'wide' : '', empty ? 'none' : '', level ? `l-${level}` : '', cell && cell.closed_hours ? 'closed' : ''];
  td.className = classes.filter(Boolean).join(' ');
  const inner = element('span', 'cell');
  if (level) {
    const sign = element('span', 'sign', SIGNS[level]);
    sign.setAttribute('aria-hidden', 'true');
    inner.append(sign, element('span', 'hidden', words.levels[level]));
  }
  if (level && level !== 'ok' && cell.of) inner.append(element('span', 'small', `[${cell.of}]`));
  inner.append(element('span', '', cell ? figure(cell.value, column.unit) : '–'));
  if (column.id === 'agents' && cell && Object.keys(cell.states).length) inner.append(agents(cell.states));
  if (cell && cell.threshold && !empty) inner.append(element('span', 'small', `≤ ${cell.threshold}`));
  td.replaceChildren(inner);
  td.title = explain(column, cell, row);
}

function agents(states) {
  const list = element('span', 'agents small');
  for (const state of ['available', 'handling', 'wrapup', 'unproductive', 'elsewhere']) {
    if (!(state in states) || (state === 'elsewhere' && !states[state])) continue;
    const item = element('span');
    const name = element('i', '', words.states[state]);
    name.title = state;
    item.append(name, document.createTextNode(String(states[state])));
    list.append(item);
  }
  return list;
}

function explain(column, cell, row) {
  const lines = [`${place(row)} · ${columnName(column.id)} (${column.id})`];
  if (cell && cell.samples !== null && column.unit !== 'count') {
    lines.push(column.id === 'occupancy' ? duration(cell.samples) : `${plain(cell.samples, 0)} ${words.samples}`);
  }
  if (cell && cell.level) lines.push(words.levels[cell.level] + (cell.closed_hours ? `, ${words.closed}` : ''));
  if (cell && cell.of) lines.push(`${words.of} ${cell.of}`);
  for (const alert of view.alerts) {
    if (alert.indicator === column.id && alert.queue === row.queue && alert.channel === row.channel) {
      lines.push(`${SIGNS[alert.to]} ${labels(alert)} · ${figure(alert.value_now, alert.unit)} · ${words.goal} ${alert.goal ? bounds(alert.goal) : '–'} · ${alert.matrix}`);
    }
  }
  return lines.join('\n');
}

function showEmptiness(arranged) {
  const seen = view.rows.some((row) => row.queue !== undefined || row.channel !== undefined);
  const box = $('empty');
  const state = arranged.some((item) => item.kind !== 'all') ? 'full' : seen ? 'well' : $('find').value ? 'nothing' : 'empty';
  $('board').hidden = state === 'empty' || state === 'nothing';
  box.hidden = state === 'full';
  if (box.dataset.state !== state + language) {
    box.dataset.state = state + language;
    if (state === 'empty') {
      const steps = element('ol');
      steps.append(...words.empty.map((step) => element('li', '', step)));
      box.replaceChildren(element('h3', '', words.emptyTitle), steps);
    } else {
      box.replaceChildren(document.createTextNode(state === 'well' ? words.allWell : words.nothing));
    }
  }
  const cut = view.rows_total > view.rows.length;
  setText($('more'), cut ? fill(words.more, { n: view.rows.length, total: view.rows_total }) : '');
}

// -- the demo's mailbox --
const inbox = { signature: '', chosen: null, timer: null, mails: [] };
const mailKey = (mail) => JSON.stringify([mail.time, mail.to, mail.subject]);
const recipients = (mail) => [].concat(mail.to || []).join(', ');

async function readMailbox() {
  try {
    const answer = await fetch('/api/v1/mailbox', { cache: 'no-store' });
    if (!answer.ok) return;
    const text = await answer.text();
    if (text === inbox.signature) return;
    inbox.signature = text;
    showMailbox(JSON.parse(text));
  } catch {
    // The banner about the connection says it already.
  }
}

function showMailbox(received) {
  inbox.mails = [...(received.mails || [])].reverse();
  setText($('mails-count'), String(inbox.mails.length));
  $('mails').replaceChildren(...inbox.mails.map((mail) => {
    const item = element('li');
    const button = element('button');
    button.type = 'button';
    button.dataset.key = mailKey(mail);
    button.append(element('b', '', mail.subject || ''), element('small', '', `${clock(mail.time)} · ${recipients(mail)}`));
    button.addEventListener('click', () => { inbox.chosen = mailKey(mail); showMail(); });
    item.append(button);
    return item;
  }));
  if (!inbox.mails.length) $('mails').append(element('li', 'none', words.noMail));
  showMail();
  const hooks = [...(received.webhooks || [])].reverse();
  setText($('hooks-count'), String(hooks.length));
  $('hooks').replaceChildren(...hooks.map((hook) => {
    const item = element('li');
    const details = element('details');
    let body = hook.body;
    try { if (typeof body === 'string') body = JSON.parse(body); } catch { /* shown as it came */ }
    const data = (body && body.data) || {};
    const lead = data.level ? `${SIGNS[data.level] || ''} ${place(data)} ${data.indicator || ''}` : hook.name || 'webhook';
    details.append(element('summary', '', `${clock(hook.time)} ${lead}`), element('pre', '', typeof body === 'string' ? body : JSON.stringify(body, null, 2)));
    item.append(details);
    return item;
  }));
  if (!hooks.length) $('hooks').append(element('li', 'none', words.noMail));
}

function showMail() {
  const mail = inbox.mails.find((candidate) => mailKey(candidate) === inbox.chosen) || inbox.mails[0];
  $('mail').hidden = !mail;
  if (!mail) return;
  for (const button of $('mails').querySelectorAll('button')) button.setAttribute('aria-current', String(button.dataset.key === mailKey(mail)));
  setText($('mail-subject'), mail.subject || '');
  setText($('mail-meta'), `${clock(mail.time)} · ${recipients(mail)}`);
  setText($('mail-text'), mail.text || '');
  const frame = $('mail-html');
  // A frame without any permission: no script, no form, no navigation of this page.
  if (frame.srcdoc !== (mail.html || '')) frame.srcdoc = mail.html || '';
  showMailAs(mail.html && $('as-text').getAttribute('aria-pressed') !== 'true');
}

function showMailAs(html) {
  $('as-html').setAttribute('aria-pressed', String(Boolean(html)));
  $('as-text').setAttribute('aria-pressed', String(!html));
  $('mail-html').hidden = !html;
  $('mail-text').hidden = Boolean(html);
}

// -- documents in --
function show(document_) {
  view = document_;
  const wanted = WORDS[asked.get('lang')] ? asked.get('lang') : view.language;
  if (language !== wanted || $('legend').childElementCount === 0) {
    language = wanted;
    applyLanguage();
  }
  setText($('time'), clock(view.time));
  $('time').dateTime = view.time;
  setText($('zone'), view.time_zone);
  setText($('version'), `Atalaya ${view.version}`);
  showWindows();
  showList('unready', words.unready, view.readiness.reasons);
  showList('degraded', words.degraded, view.readiness.degraded);
  showIncidents();
  showSilences();
  showHead();
  showRows();
  // Only now, so that a fault above lets the page say that it stands still.
  shown = { at: performance.now(), time: view.time, age: view.age };
  showStaleness();
  $('inbox').hidden = !view.demo;
  if (view.demo && inbox.timer === null) {
    inbox.timer = setInterval(readMailbox, 2000);
    readMailbox();
  }
}

function query() {
  const parameters = new URLSearchParams();
  const window_ = $('window').value || asked.get('window');
  if (window_) parameters.set('window', window_);
  if ($('find').value) parameters.set('find', $('find').value);
  return parameters.toString();
}

async function readOnce() {
  const about = query();
  let document_ = null;
  try {
    const answer = await fetch(`/api/v1/board?${about}`, { cache: 'no-store' });
    if (answer.ok) document_ = await answer.json();
    else if (answer.status === 400 && asked.has('window')) {
      asked.delete('window'); // a window that is not configured here
      listen();
    }
  } catch {
    return; // no connection: showStaleness says it
  }
  if (document_ && about === query()) show(document_);
}

function listen() {
  if (stream) stream.close();
  if (polls) {
    readOnce();
    return;
  }
  const about = query();
  stream = new EventSource(`/api/v1/stream?${about}`);
  stream.onmessage = (message) => show(JSON.parse(message.data));
  readOnce();
}

function remember() {
  const parameters = new URLSearchParams();
  if (asked.has('lang')) parameters.set('lang', asked.get('lang'));
  if (polls) parameters.set('poll', '1');
  if ($('window').value) parameters.set('window', $('window').value);
  if ($('group').value !== 'queue') parameters.set('group', $('group').value);
  if ($('find').value) parameters.set('find', $('find').value);
  if ($('only').checked) parameters.set('only', '1');
  history.replaceState(null, '', `?${parameters}`);
}

let typing = null;
$('tools').addEventListener('submit', (event) => event.preventDefault());
$('window').addEventListener('change', () => { remember(); listen(); });
$('find').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(() => { remember(); listen(); }, 250);
});
for (const id of ['group', 'only']) $(id).addEventListener('change', () => { remember(); if (view) showRows(); });
$('as-html').addEventListener('click', () => showMailAs(true));
$('as-text').addEventListener('click', () => showMailAs(false));

if (asked.get('group') === 'channel') $('group').value = 'channel';
$('find').value = asked.get('find') || '';
$('only').checked = asked.has('only');
language = language || 'es';
applyLanguage();
startDesk();
listen();
setInterval(() => {
  showStaleness();
  // A browser gives up a stream that was refused: begin again, and read by hand until it is back.
  if (polls) readOnce();
  else if (shown === null || performance.now() - shown.at > SILENT_MS) {
    if (stream.readyState === EventSource.CLOSED) listen();
    else readOnce();
  }
}, 1000);
