// What of the landscape is drawn: which systems and links are wanted, and what collapsed groups make of them. Pure.
//
// The rules of choice are those of hub/landscape/choice.py. Not here: the page and the drawing (landscape.js).
"use strict";

const LandscapeGraph = (() => {
  const BOTH = 0, DECLARED = 1, OBSERVED = 2;

  /** Calls on link `i` in month `month` (a place in `months`), or in the whole time (-1). */
  function callsOf(data, i, month) {
    if (month < 0) return data.link.calls[i];
    const calls = data.link.monthly[i];
    return calls.length ? calls[month - calls[0] + 1] || 0 : 0;
  }

  /** Whether link `i` is declared, was seen, or both in a month; -1 if it is no link then. */
  function standingOf(data, i, month) {
    const declared = data.link.declared[i], seen = callsOf(data, i, month) > 0;
    if (declared) return seen ? BOTH : DECLARED;
    return seen ? OBSERVED : -1;
  }

  /** Systems and links that a choice wants: {body, area, region, channel, standing: words or "", month: place or -1}. */
  function chosen(data, choice) {
    const { node, link } = data, count = node.id.length;
    const place = (list, value) => (value === "" ? -1 : list.indexOf(value));
    const body = place(data.bodies.key, choice.body), area = place(data.areas, choice.area);
    const region = place(data.regions, choice.region);
    const fits = (asked, found, own) => asked === "" || (found >= 0 && own === found);
    const wanted = new Uint8Array(count);
    for (let i = 0; i < count; i++) {
      wanted[i] = fits(choice.body, body, node.body[i]) && fits(choice.area, area, node.area[i])
        && fits(choice.region, region, node.region[i]) ? 1 : 0;
    }
    const channel = choice.channel === "" ? 0 : 1 << data.channels.indexOf(choice.channel);
    const standing = choice.standing === "" ? -1 : data.standings.indexOf(choice.standing);
    const byLink = channel !== 0 || standing >= 0 || choice.month >= 0;
    const shown = byLink ? new Uint8Array(count) : wanted.slice();
    const links = [];
    for (let i = 0; i < link.from.length; i++) {
      const from = link.from[i], to = link.to[i];
      if (!wanted[from] && !wanted[to]) continue;
      if (channel && !(link.channels[i] & channel)) continue;
      const stands = standingOf(data, i, choice.month);
      if (stands < 0 || (standing >= 0 && stands !== standing)) continue;
      shown[from] = shown[to] = 1;
      links.push(i);
    }
    return { shown, links };
  }

  /** Links from and to each system, by place. */
  function neighbours(data) {
    const out = data.node.id.map(() => []), into = data.node.id.map(() => []);
    data.link.from.forEach((from, i) => { out[from].push(i); into[data.link.to[i]].push(i); });
    return { out, into };
  }

  /**
   * What is drawn with these groups expanded: `nodes` by key ("s3" a system, "g1" a group with how many are shown of
   * it), `edges` by "from>to" with calls, how many links, and the standing: two things together are a gap.
   */
  function drawn(data, choice, expanded) {
    const { shown, links } = chosen(data, choice), nodes = new Map(), edges = new Map();
    const keyOf = (i) => (expanded.has(data.node.group[i]) ? `s${i}` : `g${data.node.group[i]}`);
    let systems = 0;
    shown.forEach((is, i) => {
      if (!is) return;
      systems += 1;
      nodes.set(keyOf(i), (nodes.get(keyOf(i)) || 0) + 1);
    });
    for (const i of links) {
      const from = keyOf(data.link.from[i]), to = keyOf(data.link.to[i]);
      if (from === to) continue;
      const key = `${from}>${to}`, stands = standingOf(data, i, choice.month);
      const edge = edges.get(key);
      if (edge === undefined) {
        edges.set(key, { from, to, standing: stands, calls: callsOf(data, i, choice.month), links: [i] });
      } else {
        edge.calls += callsOf(data, i, choice.month);
        edge.links.push(i);
        if (edge.standing !== stands) edge.standing = edge.standing === OBSERVED || stands === OBSERVED ? OBSERVED : DECLARED;
      }
    }
    return { nodes, edges, systems, connections: links.length };
  }

  /** Systems whose name or id has the text, those that begin with it first; at most `most` places. */
  function search(data, text, most) {
    const sought = text.trim().toLocaleLowerCase();
    if (!sought) return [];
    const found = [];
    data.node.name.forEach((name, i) => {
      const own = name.toLocaleLowerCase(), at = own.indexOf(sought);
      if (at >= 0 || data.node.registered[i] && data.node.id[i].toLocaleLowerCase().includes(sought)) found.push([at === 0 ? 0 : 1, own, i]);
    });
    found.sort((one, other) => one[0] - other[0] || (one[1] < other[1] ? -1 : 1));
    return found.slice(0, most).map((each) => each[2]);
  }

  return { BOTH, DECLARED, OBSERVED, callsOf, standingOf, chosen, neighbours, drawn, search };
})();
