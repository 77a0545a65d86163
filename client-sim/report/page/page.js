// Draws the charts of a report. The figures stand in the page as JSON; texts go in as text nodes
// only, whatever they hold.
'use strict';
(() => {
  const source = document.getElementById('figures');
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const SVG = 'http://www.w3.org/2000/svg';
  const FAULTS = {killed: 'killed', paused: 'paused', stopped: 'stopped', disturbed: 'other fault'};

  const begin = Math.min(data.t[0], ...data.phases.map((p) => p.from));
  const end = data.t[data.t.length - 1] + data.step;
  const views = [];   // one a chart: {draw(), show(index), svg}
  let paper = false;  // about to be printed: as wide as a page, whatever the window is
  let chosen = null;  // index into data.t that is read, or null

  function make(name, attributes = {}, ...children) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }
  function html(name, className, ...children) {
    const node = document.createElement(name);
    if (className) node.className = className;
    node.append(...children);
    return node;
  }

  // Three digits that matter; k and M from 10,000 on, so that axes stay narrow.
  function figure(value, short = false) {
    if (value === null) return '–';
    const size = Math.abs(value);
    if (short && size >= 1e9) return figure(value / 1e9, true) + 'G';
    if (short && size >= 1e6) return figure(value / 1e6, true) + 'M';
    if (short && size >= 1e4) return figure(value / 1e3, true) + 'k';
    if (size >= 99.95) return Math.round(value).toLocaleString('en-US');
    if (size === 0) return '0';
    const digits = size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3;
    const text = value.toFixed(digits);
    return short ? String(Number(text)) : text;
  }
  function clock(seconds, span) {
    if (span < 180) return `${seconds} s`;
    const sign = seconds < 0 ? '-' : '';
    const s = Math.abs(Math.round(seconds));
    const two = (n) => String(n).padStart(2, '0');
    return s < 3600 ? `${sign}${Math.floor(s / 60)}:${two(s % 60)}` :
                      `${sign}${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  }

  function niceStep(span, wanted) {
    const rough = span / wanted;
    const power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((m) => m * power).find((step) => step >= rough * 0.999);
  }
  function timeTicks(width) {
    const span = end - begin;
    const wanted = Math.max(2, Math.floor(width / 80));
    const steps = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
    const step = steps.find((s) => span / s <= wanted) || niceStep(span, wanted);
    const ticks = [];
    for (let t = Math.ceil(begin / step) * step; t <= end; t += step) ticks.push(t);
    return ticks;
  }

  function linearScale(most) {
    const step = niceStep(most > 0 ? most * 1.05 : 1, 4);
    const top = Math.ceil((most * 1.02 || 1) / step) * step;
    const ticks = [];
    for (let i = 0; i * step <= top * 1.0001; i++) ticks.push(i * step);
    return {ticks, at: (v) => v / top};
  }
  function logScale(least, most) {
    const low = Math.log10(least), high = Math.max(Math.log10(most), low + 0.3);
    const from = Math.floor(low * 3) / 3 - 0.02, to = Math.ceil(high * 3) / 3 + 0.02;
    const all = [];
    for (let e = Math.floor(from); e <= to; e++) for (const m of [1, 2, 5]) all.push(m * 10 ** e);
    const fine = all.filter((v) => Math.log10(v) >= from && Math.log10(v) <= to);
    const ticks = fine.length > 7 ? fine.filter((v) => Number.isInteger(
        Math.round(Math.log10(v) * 1e6) / 1e6)) : fine;
    return {ticks, at: (v) => (Math.log10(Math.max(v, 10 ** from)) - from) / (to - from)};
  }
  function scaleOf(chart) {
    const values = chart.lines.flatMap((line) => line.values).filter((v) => v !== null);
    if (!chart.log) return linearScale(values.reduce((a, b) => Math.max(a, b), 0));
    const positive = values.filter((v) => v > 0);
    const least = positive.reduce((a, b) => Math.min(a, b), Infinity);
    return logScale(least === Infinity ? 1 : least, positive.reduce((a, b) => Math.max(a, b), 1e-9));
  }

  // Runs of points without a hole between them.
  function pieces(values) {
    const runs = [];
    let run = null;
    values.forEach((value, i) => {
      const follows = run && data.t[i] - data.t[i - 1] <= data.step;
      if (value === null) {
        run = null;
      } else if (follows) {
        run.push(i);
      } else {
        runs.push(run = [i]);
      }
    });
    return runs;
  }
  const middle = (i) => data.t[i] + data.step / 2;

  function faultsAt(i) {
    const from = data.t[i], to = from + data.step;
    return data.faults.filter((f) => f.from < to && (f.to > from || f.from >= from));
  }
  function reading(i) {
    const phase = data.phases.find((p) => p.from <= middle(i) && middle(i) < p.to);
    const words = [`at ${clock(data.t[i], end - begin)}`];
    if (phase) words.push(phase.name);
    for (const fault of faultsAt(i).slice(0, 4)) words.push(`${fault.process}: ${fault.what}`);
    return words.join('  ·  ');
  }

  // The axes that all pictures share.
  function frame(width, height, left, bottom) {
    const right = 10, top = 8;
    const x = (t) => left + (t - begin) / (end - begin) * (width - left - right);
    const y = (share) => height - bottom - share * (height - bottom - top);
    const svg = make('svg', {viewBox: `0 0 ${width} ${height}`});
    for (const t of timeTicks(width - left - right)) {
      svg.append(make('line', {class: 'grid', x1: x(t), x2: x(t), y1: top, y2: height - bottom}));
      const anchor = x(t) > width - 24 ? 'end' : 'middle';
      svg.append(make('text', {x: x(t), y: height - bottom + 15, 'text-anchor': anchor},
                      clock(t, end - begin)));
    }
    return {svg, x, y, top, right, foot: height - bottom};
  }
  function clip(t) { return Math.min(Math.max(t, begin), end); }
  function drawFaults(f) {
    for (const fault of data.faults) {
      const from = f.x(clip(fault.from)), to = f.x(clip(fault.to));
      f.svg.append(make('rect', {
        class: `span ${fault.style}`, x: from, width: Math.max(to - from, 2), y: f.top,
        height: f.foot - f.top}));
    }
  }
  function drawBounds(f) {
    for (const phase of data.phases) {
      const x = f.x(clip(phase.from));
      f.svg.append(make('line', {class: 'bound', x1: x, x2: x, y1: f.top, y2: f.foot}));
    }
  }

  // Pointing and keys, the same in every picture.
  function listen(svg, f) {
    svg.addEventListener('pointermove', (event) => {
      const box = svg.getBoundingClientRect();
      const at = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      const t = begin + (at - f.x(begin)) / (f.x(end) - f.x(begin)) * (end - begin);
      choose(nearest(t));
    });
    svg.addEventListener('pointerleave', (event) => {
      if (event.pointerType === 'mouse') choose(null);
    });
    svg.addEventListener('keydown', (event) => {
      const steps = {ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10};
      const last = data.t.length - 1;
      if (event.key in steps) {
        const from = chosen === null ? (steps[event.key] > 0 ? -1 : last + 1) : chosen;
        choose(Math.min(Math.max(from + steps[event.key], 0), last));
      } else if (event.key === 'Home' || event.key === 'End') {
        choose(event.key === 'Home' ? 0 : last);
      } else if (event.key === 'Escape') {
        choose(null);
      } else {
        return;
      }
      event.preventDefault();
    });
  }
  function nearest(t) {
    let low = 0, high = data.t.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (data.t[mid] <= t) low = mid; else high = mid - 1;
    }
    return low;
  }
  function choose(index) {
    if (index === chosen) return;
    chosen = index;
    for (const view of views) view.show();
  }

  function sample(style, box) {
    const svg = make('svg', {class: 'sample', viewBox: '0 0 24 12', 'aria-hidden': 'true'});
    svg.append(box ? make('rect', {class: `bar ${style}`, x: 2, y: 1, width: 20, height: 10, rx: 2}) :
                     make('line', {class: style, x1: 1, x2: 23, y1: 6, y2: 6}));
    return svg;
  }
  function faultLegend(list) {
    for (const [style, name] of Object.entries(FAULTS)) {
      if (data.faults.some((f) => f.style === style)) {
        list.append(html('li', '', sample(style, true), name));
      }
    }
  }

  function setUpChart(chart, figureNode) {
    const legend = html('ul', 'legend'), read = html('p', 'read'), room = html('div', '');
    const outputs = chart.lines.map((line) => {
      const output = html('output', '');
      legend.append(html('li', '', sample(line.style, false), line.name, output));
      return output;
    });
    faultLegend(legend);
    figureNode.append(legend, room, read);
    const scale = scaleOf(chart);
    const view = {chart, f: null, mark: null};

    view.draw = () => {
      const broad = figureNode.classList.contains('broad');
      const width = paper ? (broad ? 690 : 330) : Math.max(room.clientWidth, 260);
      const height = broad ? Math.min(280, 190 + width / 12) : 190;
      const f = view.f = frame(width, height, 46, 22);
      drawFaults(f);
      for (const tick of scale.ticks) {
        const y = f.y(scale.at(tick));
        f.svg.append(make('line', {class: 'grid', x1: f.x(begin), x2: f.x(end), y1: y, y2: y}));
        f.svg.append(make('text', {x: 40, y: y + 4, 'text-anchor': 'end'}, figure(tick, true)));
      }
      drawBounds(f);
      for (const line of chart.lines) drawLine(f, scale, line);
      f.svg.append(view.mark = make('g'));
      f.svg.setAttribute('role', 'img');
      f.svg.setAttribute('tabindex', '0');
      f.svg.setAttribute('aria-label', summary(chart));
      listen(f.svg, f);
      const focused = room.contains(document.activeElement);
      room.replaceChildren(f.svg);
      if (focused) f.svg.focus();
      view.show();
    };
    view.show = () => {
      view.mark.replaceChildren();
      outputs.forEach((output, i) => {
        output.value = chosen === null ? '' : figure(chart.lines[i].values[chosen]);
      });
      // Only the chart that has the focus speaks, and with its values.
      const speaks = room.contains(document.activeElement);
      read.setAttribute('aria-live', speaks ? 'polite' : 'off');
      read.textContent = chosen === null ? '' : reading(chosen);
      if (chosen === null) return;
      const x = view.f.x(middle(chosen));
      view.mark.append(make('line', {class: 'mark', x1: x, x2: x, y1: view.f.top, y2: view.f.foot}));
      for (const line of chart.lines) {
        const value = line.values[chosen];
        if (value === null) continue;
        view.mark.append(make('circle', {
          class: `dot ${line.style.split(' ')[0]}`, cx: x, cy: view.f.y(scale.at(value)), r: 4}));
      }
    };
    views.push(view);
  }
  function drawLine(f, scale, line) {
    for (const run of pieces(line.values)) {
      const points = run.map((i) => [f.x(middle(i)).toFixed(1),
                                     f.y(scale.at(line.values[i])).toFixed(1)]);
      if (points.length === 1) {
        f.svg.append(make('circle', {
          class: `dot ${line.style.split(' ')[0]}`, cx: points[0][0], cy: points[0][1], r: 2.5}));
        continue;
      }
      const path = 'M' + points.map((p) => p.join(',')).join('L');
      if (line.style.includes('filled')) {
        const last = points[points.length - 1][0];
        f.svg.append(make('path', {
          class: `area ${line.style}`, d: `${path}L${last},${f.foot}L${points[0][0]},${f.foot}Z`}));
      }
      f.svg.append(make('path', {class: `line ${line.style}`, d: path}));
    }
  }
  function summary(chart) {
    const parts = chart.lines.map((line) => {
      const values = line.values.filter((v) => v !== null);
      if (values.length === 0) return `${line.name}: nothing`;
      const least = values.reduce((a, b) => Math.min(a, b));
      const most = values.reduce((a, b) => Math.max(a, b));
      return `${line.name} from ${figure(least)} to ${figure(most)}`;
    });
    return `${chart.title}, ${chart.unit}, over ${clock(end - begin, 0)}: ${parts.join('; ')}. ` +
        'Arrow keys read single values.';
  }

  // Who suffered what, and when: a row for the phases and one for each process.
  function setUpTimeline(room) {
    const names = [...new Set(data.faults.map((f) => f.process))].slice(0, 24);
    const rows = (data.phases.length > 0 ? ['phases'] : []).concat(names);
    if (names.length === 0 && data.phases.length < 2) return;
    const legend = html('ul', 'legend'), picture = html('div', ''), read = html('p', 'read');
    faultLegend(legend);
    room.append(legend, picture, read);
    const view = {f: null, mark: null};
    view.draw = () => {
      const width = paper ? 690 : Math.max(picture.clientWidth, 260);
      const left = Math.min(110, width * 0.28), row = 21;
      const f = view.f = frame(width, rows.length * row + 32, left, 22);
      rows.forEach((name, i) => {
        const y = f.top + i * row;
        f.svg.append(make('text', {class: 'name', x: 0, y: y + 14}, shorten(name, left)));
        const isPhases = i === 0 && data.phases.length > 0;
        if (isPhases) drawPhases(f, y, row); else drawRow(f, name, y, row);
      });
      f.svg.append(view.mark = make('g'));
      f.svg.setAttribute('role', 'img');
      f.svg.setAttribute('aria-label', `Faults over time: ${data.faults.length}, of ` +
          `${names.join(', ')}. The table of faults tells each.`);
      listen(f.svg, f);
      picture.replaceChildren(f.svg);
      view.show();
    };
    view.show = () => {
      view.mark.replaceChildren();
      read.textContent = chosen === null ? '' : reading(chosen);
      if (chosen === null) return;
      const x = view.f.x(middle(chosen));
      view.mark.append(make('line', {class: 'mark', x1: x, x2: x, y1: view.f.top, y2: view.f.foot}));
    };
    views.push(view);
  }
  function shorten(text, width) {
    const most = Math.max(4, Math.floor(width / 7.2));
    return text.length > most ? text.slice(0, most - 1) + '…' : text;
  }
  function drawPhases(f, y, row) {
    for (const phase of data.phases) {
      const from = f.x(clip(phase.from)), to = f.x(clip(phase.to));
      f.svg.append(make('rect', {
        class: 'phase', x: from + 1, y: y + 1, width: Math.max(to - from - 2, 1), height: row - 4, rx: 3},
                        make('title', {}, phase.name)));
      if (to - from > 40) {
        f.svg.append(make('text', {class: 'name', x: from + 6, y: y + 14},
                          shorten(phase.name, to - from - 8)));
      }
    }
  }
  function drawRow(f, name, y, row) {
    for (const fault of data.faults) {
      if (fault.process !== name) continue;
      const from = f.x(clip(fault.from)), to = f.x(clip(fault.to));
      f.svg.append(make('rect', {
        class: `bar ${fault.style}`, x: from, y: y + 2, width: Math.max(to - from, 3),
        height: row - 6, rx: 2},
                        make('title', {}, `${fault.what}, ${fault.from.toFixed(1)} to ` +
                            `${fault.to.toFixed(1)} s`)));
    }
  }

  setUpTimeline(document.getElementById('timeline'));
  data.charts.forEach((chart, i) => setUpChart(chart, document.getElementById(`chart-${i}`)));
  const drawAll = () => { for (const view of views) view.draw(); };
  drawAll();
  let width = document.body.clientWidth;
  window.addEventListener('resize', () => {
    if (document.body.clientWidth === width) return;  // on phones, bars that come and go
    width = document.body.clientWidth;
    drawAll();
  });
  window.addEventListener('beforeprint', () => {
    for (const details of document.querySelectorAll('.violation')) details.open = true;
    paper = true;
    choose(null);
    drawAll();
  });
  window.addEventListener('afterprint', () => {
    paper = false;
    drawAll();
  });
})();
