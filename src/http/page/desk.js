// What people do from the page: acknowledge an incident, silence, end a silence. One form asks for all of it, and says
// what the service refuses. Nothing is decided here: what a silence holds is matched by the service.
'use strict';

const NAMES = ['matrix', 'indicator', 'queue', 'channel'];
const ANSWER_MS = 10000;
let act = null; // what the form asks for, or asked for last

function startDesk() {
  $('desk-form').addEventListener('submit', (event) => {
    event.preventDefault();
    perform(act);
  });
  $('desk-cancel').addEventListener('click', () => $('desk').close());
  $('desk-length').addEventListener('change', showEnd);
  $('new-silence').addEventListener('click', () => askSilence('', {}, 'critical'));
}

// -- the three things that can be done --
function askAcknowledge(alert, beside) {
  ask({
    title: words.acknowledge, about: about(alert), done: words.acknowledged, next: beside,
    method: 'POST', path: `/api/v1/alerts/${encodeURIComponent(alert.incident)}/acknowledge`, more: () => ({}),
  });
}

function askSilence(about_, names, level) {
  for (const name of NAMES) $(`desk-${name}`).value = pattern(names[name] || '');
  $('desk-level').replaceChildren(...['info', 'warning', 'critical'].map((each) => new Option(words.levels[each], each)));
  $('desk-level').value = level;
  $('desk-from').value = '';
  $('desk-until').value = wallClock(Math.ceil((serviceNow() + 1) / 3600000) * 3600000);
  $('desk-length').value = '1h';
  setText($('desk-zone'), fill(words.zone, { zone: zone() }));
  showEnd();
  ask({ title: words.silence, about: about_, done: words.silenceMade, method: 'POST', path: '/api/v1/silences', more: silence });
}

function askEnd(shown) {
  ask({
    title: words.endSilence, about: matched(shown.matcher), done: words.silenceEnded, next: $('silences-title'),
    method: 'DELETE', path: `/api/v1/silences/${encodeURIComponent(shown.id)}`, more: () => ({}),
  });
}

function about(alert) {
  return `${place(alert)} · ${columnName(alert.indicator)} · ${words.levels[alert.to]}`;
}

// -- the form --
function ask(asked_) {
  act = asked_;
  const silences = act.more === silence;
  for (const id of ['desk-title', 'desk-do']) setText($(id), act.title);
  setText($('desk-about'), act.about);
  // What is not shown must not be demanded either.
  for (const id of ['desk-what', 'desk-when']) $(id).hidden = $(id).disabled = !silences;
  $('desk-who').value = recall();
  $('desk-why').value = '';
  $('desk-why').required = silences;
  setText($('desk-why-label'), silences ? words.why : words.whyOptional);
  setText($('desk-error'), '');
  $('desk-do').disabled = false;
  $('desk').showModal();
  $('desk').scrollTop = 0;
  $(silences && recall() ? 'desk-why' : 'desk-who').focus();
}

function showEnd() {
  const chosen = $('desk-length').value === 'until';
  $('desk-end').hidden = $('desk-until').disabled = !chosen;
}

// What a silence has besides who and why.
function silence() {
  const matcher = {};
  for (const name of NAMES) {
    const text = $(`desk-${name}`).value.trim();
    if (text) matcher[name] = [text];
  }
  if ($('desk-level').value !== 'critical') matcher.level = $('desk-level').value;
  const said = { matcher };
  if ($('desk-from').value) said.from = instantAt($('desk-from').value);
  if ($('desk-length').value === 'until') said.until = instantAt($('desk-until').value);
  else said.for = $('desk-length').value;
  return said;
}

async function perform(asked_) {
  const who = $('desk-who').value.trim();
  const why = $('desk-why').value.trim();
  keepName(who);
  setText($('desk-error'), '');
  $('desk-do').disabled = true;
  let failed = '';
  try {
    const answer = await fetch(asked_.path, {
      method: asked_.method, headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ who, why, ...asked_.more() }), signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (!answer.ok) failed = (await answer.json()).error;
  } catch (error) {
    failed = fill(words.noAnswer, { error: String(error) });
  }
  if (!failed) {
    setText($('said'), [asked_.done, asked_.about].filter(Boolean).join(': '));
    readOnce();
  }
  if (act !== asked_ || !$('desk').open) return; // closed meanwhile, or open for something else
  $('desk-do').disabled = false;
  setText($('desk-error'), failed);
  if (failed) return;
  $('desk').close();
  // The button that was pressed goes away with what it did.
  if (asked_.next) asked_.next.focus();
}

// A browser may keep nothing; then the name is asked for with an empty field.
function recall() {
  try { return localStorage.getItem('who') || ''; } catch { return ''; }
}
function keepName(who) {
  try { localStorage.setItem('who', who); } catch { /* as above */ }
}

// A name as a pattern that matches it alone.
function pattern(name) {
  return name.replace(/[\\*?[\]{}]|^!/g, '\\$&');
}

// -- time in the zone of the service --
function serviceNow() {
  return Date.parse(view.time) + view.age * 1000;
}
// `2026-05-28T18:00`, as a field for date and time has it.
function wallClock(instant) {
  const options = { dateStyle: 'short', timeStyle: 'short', timeZone: zone() };
  return new Intl.DateTimeFormat('sv-SE', options).format(instant).replace(' ', 'T');
}
// The offset depends on the instant: a second look is right also beside a change of the clocks.
function instantAt(wall) {
  const wanted = Date.parse(`${wall}Z`);
  let instant = wanted;
  for (let look = 0; look < 2; look += 1) instant += wanted - Date.parse(`${wallClock(instant)}Z`);
  return new Date(instant).toISOString();
}
// With the date where it is not that of the other instant.
function moment(time, other) {
  const instant = Date.parse(time);
  const [day, hour] = wallClock(instant).split('T');
  if (day === wallClock(other).split('T')[0]) return hour;
  const options = { weekday: 'short', day: 'numeric', month: 'short', timeZone: zone() };
  return `${new Intl.DateTimeFormat(language, options).format(instant)}, ${hour}`;
}

// -- the silences that are on or to come --
function showSilences() {
  setText($('silences-count'), view.silences_total ? String(view.silences_total) : '');
  const rest = view.silences_total - view.silences.length;
  setText($('no-silences'), rest ? fill(words.moreSilences, { n: rest }) : view.silences_total ? '' : words.noSilences);
  $('no-silences').hidden = view.silences_total > 0 && !rest;
  keepItems($('silences'), view.silences, (shown) => shown.id, makeSilence, fillSilence);
}

function makeSilence(item, shown) {
  const parts = {};
  for (const part of ['what', 'why', 'who', 'when']) parts[part] = item.appendChild(element('span', part));
  parts.end = item.appendChild(element('button'));
  parts.end.type = 'button';
  parts.end.addEventListener('click', () => askEnd(shown));
  return parts;
}

function fillSilence(item, parts, shown) {
  item.className = shown.active ? 'on' : 'later';
  const held = view.alerts.filter((alert) => alert.silenced.includes(shown.id)).length;
  const since = shown.active ? serviceNow() : Date.parse(shown.from);
  const times = { from: moment(shown.from, serviceNow()), until: moment(shown.until, since) };
  const when = fill(shown.active ? words.until : words.fromUntil, times);
  setText(parts.what, matched(shown.matcher));
  setText(parts.why, shown.why);
  setText(parts.who, shown.who);
  setText(parts.when, when + (held ? ` · ${fill(words.held, { n: held })}` : ''));
  setText(parts.end, words.endSilence);
  parts.end.setAttribute('aria-label', `${words.endSilence}: ${matched(shown.matcher)}`);
}

function matched(matcher) {
  const said = [...NAMES, 'window'].filter((name) => (matcher[name] || []).length).map((name) => `${words.names[name]} ${matcher[name].join(', ')}`);
  if (matcher.level && matcher.level !== 'critical') said.push(fill(words.upTo, { level: words.levels[matcher.level] }));
  return said.join(' · ');
}
