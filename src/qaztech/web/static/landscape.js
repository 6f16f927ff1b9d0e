// The picture of the landscape: groups that open and close, search, filters, months, who is hurt, where data go.
//
// Drawn with sigma over a graphology graph; places come from the server. Without JavaScript or WebGL the tables of the
// same page say the same. Texts stand in the page's attributes, names come as data: nothing is ever read as markup.
"use strict";

(() => {
  const { BOTH, callsOf, standingOf, drawn, neighbours, search } = LandscapeGraph;
  const EDGES = ["#2f7f9e", "#b7791f", "#c23b30"];
  const STANDINGS = ["both", "declared", "observed"];
  const GROUPS = ["#2f7f9e", "#7a62a8", "#3d8b5f", "#a8623f", "#5d6b9e", "#8a7a2f", "#9e4f7a", "#4a8a8a"];
  const GONE = "#14242b", FIRST = "#c23b30", FURTHER = "#d98a1f", GREY = "#8c9ba2";
  // From how many edges on they are lines one pixel wide, without arrows.
  const MANY = 1500;
  const FOUND = 12, LISTED = 12;

  const byId = (id) => document.getElementById(id);
  const picture = byId("picture");
  if (!picture) return;
  const words = JSON.parse(picture.dataset.words);
  const fill = (text, values) => Object.entries(values).reduce((said, [name, value]) => said.replace(`{${name}}`, value), text);
  const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");

  /** A colour laid over another so far (0..1): what is drawn is opaque, so order and blending do not matter. */
  function over(colour, ground, far) {
    const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    const [one, other] = [parts(colour), parts(ground)];
    return `#${one.map((part, i) => Math.round(part * far + other[i] * (1 - far)).toString(16).padStart(2, "0")).join("")}`;
  }

  /** An element with text and children. */
  function make(tag, text, ...children) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    made.append(...children);
    return made;
  }

  function button(text, act) {
    const made = make("button", text);
    made.type = "button";
    made.className = "small";
    made.addEventListener("click", act);
    return made;
  }

  function failed(why) {
    picture.hidden = true;
    byId("no-picture").hidden = false;
    byId("no-picture").textContent = fill(words.failed, { why });
  }

  async function fetched(url) {
    const answer = await fetch(url, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  }

  class Picture {
    constructor(data) {
      this.data = data;
      this.near = neighbours(data);
      this.expanded = new Set();
      this.place = new Map(data.node.id.map((id, i) => [id, i]));
      this.mode = null;
      this.selected = null;
      this.sizes = data.group.key.map(() => 0);
      data.node.group.forEach((group) => { this.sizes[group] += 1; });
      const style = getComputedStyle(document.documentElement);
      this.ink = style.getPropertyValue("--ink").trim() || "#14242b";
      this.card = style.getPropertyValue("--card").trim() || "#ffffff";
      const ground = style.getPropertyValue("--paper").trim() || "#f5f7f7";
      this.faded = over(GREY, ground, 0.35);
      this.thin = over(GREY, ground, 0.15);
      this.edges = { few: EDGES.map((each) => over(each, ground, 0.7)), many: EDGES.map((each) => over(each, ground, 0.4)) };
      this.renderer = new Sigma(new graphology({ type: "directed" }), byId("stage"), {
        allowInvalidContainer: true, defaultEdgeType: "thick", labelColor: { color: this.ink }, labelFont: "system-ui, sans-serif",
        labelSize: 12, labelRenderedSizeThreshold: 5, labelDensity: 0.6, labelGridCellSize: 120, minCameraRatio: 0.02, maxCameraRatio: 2,
        hideLabelsOnMove: false, zIndex: false, enableCameraRotation: false, defaultDrawNodeHover: (context, node, settings) => this.hover(context, node, settings),
        edgeProgramClasses: { thick: Sigma.rendering.EdgeArrowProgram, thin: Sigma.rendering.EdgeLineProgram },
        nodeProgramClasses: { circle: Sigma.rendering.NodePointProgram },
      });
      const extent = this.extent(), stage = byId("stage");
      this.renderer.setCustomBBox(extent);
      // Half of the way to the next system in the whole picture, so that systems do not cover each other.
      this.room = Math.max(1.2, 0.45 * Math.min(stage.clientWidth / (extent.x[1] - extent.x[0]), stage.clientHeight / (extent.y[1] - extent.y[0])));
      this.ghost = new LandscapeGhost(this.renderer, byId("stage"));
      this.renderer.on("clickNode", ({ node }) => this.clicked(node));
      this.renderer.on("clickStage", () => this.tell(null));
      this.renderer.on("doubleClickNode", (event) => event.preventSigmaDefault());
    }

    extent() {
      const { x, y, radius } = this.data.group;
      const far = (values, sign) => values.reduce((most, value, i) => Math.max(most, sign * value + radius[i]), 1);
      return { x: [-far(x, -1), far(x, 1)], y: [-far(y, -1), far(y, 1)] };
    }

    choice() {
      const value = (id) => byId(id).value;
      return { body: value("body"), area: value("area"), region: value("region"), channel: value("channel"),
        standing: value("standing"), month: Number(value("time")) - 1 };
    }

    /** Make the graph anew from what is chosen and expanded. */
    draw() {
      const { data } = this, now = drawn(data, this.choice(), this.expanded);
      const graph = new graphology({ type: "directed" });
      for (const [key, count] of now.nodes) graph.addNode(key, this.look(key, count));
      const many = now.edges.size > MANY;
      for (const group of this.expanded) if (this.sizes[group]) graph.addNode(`n${group}`, this.title(group));
      for (const [key, edge] of now.edges) graph.addEdgeWithKey(key, edge.from, edge.to, this.edgeLook(edge, many));
      this.graph = graph;
      this.ghost.use(many);
      this.renderer.setGraph(graph);
      byId("legend-impact").hidden = !(this.mode && this.mode.steps);
      byId("plain").hidden = this.mode === null;
      picture.dataset.shown = `${now.nodes.size} ${now.edges.size}`;
      byId("picture-title").title = fill(words.shown, { systems: now.systems, links: now.connections });
    }

    look(key, count) {
      const { data } = this, i = Number(key.slice(1)), colour = this.colour(key);
      if (key[0] === "g") {
        const { x, y, name } = data.group;
        return { x: x[i], y: y[i], size: 7 + 2.2 * Math.sqrt(count), label: `${name[i]} (${count})`, color: colour, forceLabel: this.sizes.length <= 25 };
      }
      const degree = this.near.out[i].length + this.near.into[i].length;
      const chosen = key === this.selected || (this.mode && this.mode.from === i);
      const size = chosen ? 8 : Math.max(1.2, Math.min(this.room, 2.5 + Math.min(6, Math.sqrt(degree))));
      return { x: data.node.x[i], y: data.node.y[i], size, label: data.node.name[i], color: colour, forceLabel: chosen };
    }

    /** The name of an expanded group, above its systems. */
    title(group) {
      const { x, y, radius, name } = this.data.group;
      return { x: x[group], y: y[group] + radius[group], size: 3, label: name[group], color: this.faded, forceLabel: this.sizes.length <= 25 };
    }

    colour(key) {
      const i = Number(key.slice(1)), group = key[0] === "g" ? i : this.data.node.group[i];
      if (this.mode && this.mode.steps) {
        const members = key[0] === "g" ? this.mode.groups.get(i) : this.mode.steps.get(i);
        if (members === undefined) return this.faded;
        return members === 0 ? this.gone() : members === 1 ? FIRST : FURTHER;
      }
      if (this.mode && this.mode.nodes) return this.mode.nodes.has(i) || key[0] === "g" ? GROUPS[group % GROUPS.length] : this.faded;
      if (key[0] === "s" && !this.data.node.registered[i]) return FIRST;
      return GROUPS[group % GROUPS.length];
    }

    gone() {
      return matchMedia("(prefers-color-scheme: dark)").matches ? "#ffffff" : GONE;
    }

    edgeLook(edge, many) {
      const type = many ? "thin" : "thick", size = many ? 1 : 0.8 + Math.min(2.4, Math.log10(1 + edge.calls) / 2.4);
      if (this.mode) {
        const on = edge.links.some((i) => this.mode.links.has(i));
        return { type, size, color: on ? EDGES[edge.standing] : this.thin };
      }
      return { type, size, color: this.edges[many ? "many" : "few"][edge.standing] };
    }

    hover(context, node, settings) {
      if (!node.label) return;
      context.font = `${settings.labelWeight} ${settings.labelSize}px ${settings.labelFont}`;
      const width = context.measureText(node.label).width + 12, left = node.x + node.size + 2;
      context.fillStyle = this.card;
      context.strokeStyle = this.ink;
      context.beginPath();
      context.rect(left, node.y - 11, width, 22);
      context.fill();
      context.stroke();
      context.fillStyle = this.ink;
      context.fillText(node.label, left + 6, node.y + 4);
    }

    clicked(key) {
      const group = Number(key.slice(1));
      if (key[0] === "n") this.tellGroup(group);
      else if (key[0] === "g") {
        this.open(group);
        this.tellGroup(group);
      } else this.select(Number(key.slice(1)));
    }

    open(group) {
      this.expanded.add(group);
      this.draw();
    }

    /** Show one system: its group expanded, in the middle, told about. */
    select(i, { move = false } = {}) {
      this.selected = `s${i}`;
      this.expanded.add(this.data.node.group[i]);
      this.draw();
      if (move) this.go(i);
      this.tell(i);
    }

    go(i) {
      if (!this.graph.hasNode(`s${i}`)) return; // a filter leaves it out
      const { x, y } = this.renderer.getNodeDisplayData(`s${i}`);
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.renderer.getCamera().animate({ x, y, ratio: 0.18 }, { duration: still ? 0 : 300 });
    }

    /** Move so that these systems are all to be seen. */
    fit(places) {
      const found = places.filter((i) => this.graph.hasNode(`s${i}`)).map((i) => this.renderer.getNodeDisplayData(`s${i}`));
      if (!found.length) return;
      const [xs, ys] = ["x", "y"].map((axis) => found.map((each) => each[axis]));
      const middle = (values) => (Math.min(...values) + Math.max(...values)) / 2;
      const wide = (values) => Math.max(...values) - Math.min(...values);
      const ratio = Math.min(1.2, Math.max(0.18, 1.4 * Math.max(wide(xs), wide(ys))));
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.renderer.getCamera().animate({ x: middle(xs), y: middle(ys), ratio }, { duration: still ? 0 : 300 });
    }

    panel(...children) {
      byId("told").replaceChildren(...children);
      byId("told").scrollTop = 0;
    }

    tellGroup(group) {
      const { data } = this;
      const close = button(words.close, () => { this.expanded.delete(group); this.draw(); this.tell(null); });
      const members = data.node.group.flatMap((own, i) => (own === group ? [i] : []));
      members.sort((one, other) => this.near.out[other].length - this.near.out[one].length || one - other);
      this.panel(make("h4", data.group.name[group]), make("p", fill(words.systems, { n: number(this.sizes[group]) })),
        make("p", "", close), this.list(members.slice(0, LISTED)), ...this.more(members.length));
    }

    more(count) {
      return count > LISTED ? [make("p", fill(words.others, { n: number(count - LISTED) }))] : [];
    }

    list(members, told = () => "") {
      return make("ul", "", ...members.map((i) => {
        const line = make("li", "", button(this.data.node.name[i], () => this.select(i, { move: true })));
        if (told(i)) line.append(" ", make("span", told(i)));
        return line;
      }));
    }

    tell(i) {
      if (i === null) {
        this.panel(make("p", picture.dataset.nothing));
        return;
      }
      const { data, near } = this, { node, group } = data, month = this.choice().month;
      const calls = (links) => links.reduce((sum, link) => sum + callsOf(data, link, month), 0);
      const code = make("code", node.id[i]);
      code.className = "id note";
      const page = make("a", words.more);
      page.href = `${picture.dataset.page}&id=${encodeURIComponent(node.id[i])}`;
      const buttons = make("p", "", button(words.impact, () => this.impact(i)), button(words.flow, () => this.flow(i, "")));
      buttons.className = "buttons";
      const lines = [...near.out[i], ...near.into[i]].filter((link) => standingOf(data, link, month) >= 0);
      lines.sort((one, other) => callsOf(data, other, month) - callsOf(data, one, month));
      this.panel(
        make("h4", node.name[i]), make("p", "", code), make("p", data.bodies.name[node.body[i]]),
        ...(node.registered[i] ? [] : [make("p", words.unregistered)]),
        make("p", `${fill(words.provides, { n: number(near.out[i].length) })}; ${fill(words.calls, { n: number(calls(near.out[i])) })}`),
        make("p", `${fill(words.consumes, { n: number(near.into[i].length) })}; ${fill(words.calls, { n: number(calls(near.into[i])) })}`),
        buttons, make("p", "", page),
        make("ul", "", ...lines.slice(0, LISTED).map((link) => this.line(i, link, month))), ...this.more(lines.length),
        make("p", "", button(words.close, () => { this.expanded.delete(node.group[i]); this.selected = null; this.draw(); this.tell(null); }),
          ` ${group.name[node.group[i]]}`),
      );
    }

    line(i, link, month) {
      const { data } = this, out = data.link.from[link] === i, other = out ? data.link.to[link] : data.link.from[link];
      const stands = STANDINGS[standingOf(data, link, month)];
      const said = make("span", ` ${words[stands]}; ${fill(words.calls, { n: number(callsOf(data, link, month)) })}`);
      return make("li", out ? "→ " : "← ", button(data.node.name[other], () => this.select(other, { move: true })), said);
    }

    ask(i, element) {
      const rest = element ? `&element=${encodeURIComponent(element)}` : "";
      return fetched(`${picture.dataset.system}&id=${encodeURIComponent(this.data.node.id[i])}${rest}`);
    }

    /** Colour who is hurt if a system is switched off; their groups are expanded. */
    async impact(i) {
      const { hurt } = await this.ask(i, "");
      const steps = new Map([[i, 0]]), groups = new Map();
      for (const each of hurt) steps.set(this.place.get(each.id), each.steps);
      for (const [place, step] of steps) {
        const group = this.data.node.group[place];
        groups.set(group, Math.min(step, groups.has(group) ? groups.get(group) : step));
        this.expanded.add(group);
      }
      const links = new Set();
      for (const place of steps.keys()) {
        for (const link of this.near.out[place]) if (steps.has(this.data.link.to[link])) links.add(link);
      }
      this.mode = { from: i, steps, groups, links };
      this.draw();
      this.fit([...steps.keys()]);
      const direct = hurt.filter((each) => each.steps === 1).length;
      const told = hurt.length
        ? [make("p", fill(words.direct, { n: number(direct) })), make("p", fill(words.indirect, { n: number(hurt.length - direct) }))]
        : [make("p", words.nobody)];
      const by = new Map(hurt.map((each) => [this.place.get(each.id), each]));
      const said = (place) => `${fill(words.steps, { n: by.get(place).steps })}; ${fill(words.calls, { n: number(by.get(place).calls) })}`;
      this.modePanel(i, words.impact, told, [...by.keys()], said);
    }

    /** Show the links over which a system's data go on. */
    async flow(i, element) {
      const { flow, elements } = await this.ask(i, element);
      const nodes = new Set([i]), links = new Set();
      for (const [from, to] of flow) {
        const one = this.place.get(from), other = this.place.get(to);
        nodes.add(one).add(other);
        const link = this.near.out[one].find((each) => this.data.link.to[each] === other);
        if (link !== undefined) links.add(link);
      }
      for (const place of nodes) this.expanded.add(this.data.node.group[place]);
      this.mode = { from: i, nodes, links };
      this.draw();
      this.fit([...nodes]);
      const choose = make("p", "", ...elements.slice(0, LISTED).map((each) => button(each, () => this.flow(i, each))));
      choose.className = "buttons";
      this.modePanel(i, element ? `${words.flow}: ${element}` : words.flow, [make("p", fill(words.flows, { n: number(links.size) })), choose],
        [...nodes].filter((place) => place !== i));
    }

    modePanel(i, title, told, members, said) {
      const buttons = make("p", "", button(words.back, () => { this.plain(); this.select(i); }));
      const page = make("a", words.more);
      page.href = `${picture.dataset.page}&id=${encodeURIComponent(this.data.node.id[i])}`;
      this.panel(make("h4", this.data.node.name[i]), make("p", title), ...told, this.list(members.slice(0, LISTED), said),
        ...this.more(members.length), buttons, make("p", "", page));
    }

    plain() {
      this.mode = null;
      this.draw();
    }

    all(open) {
      this.expanded = new Set(open ? this.data.group.key.keys() : []);
      this.draw();
    }

    /** Names of what is typed; choosing one shows it. */
    find(text) {
      const list = byId("found"), places = search(this.data, text, FOUND);
      list.hidden = text.trim() === "";
      list.replaceChildren(...places.map((i) => {
        const chosen = make("button", this.data.node.name[i]);
        chosen.type = "button";
        chosen.addEventListener("click", () => {
          list.hidden = true;
          this.select(i, { move: true });
          picture.scrollIntoView({ block: "nearest" });
        });
        return make("li", "", chosen);
      }), ...(places.length ? [] : [make("li", words["none-found"])]));
    }
  }

  function listen(shown) {
    const camera = shown.renderer.getCamera(), said = byId("time-said"), month = byId("month"), time = byId("time");
    const moment = () => {
      said.textContent = Number(time.value) ? shown.data.months[Number(time.value) - 1] : words["whole-time"];
      time.setAttribute("aria-valuetext", said.textContent);
    };
    time.addEventListener("input", () => {
      month.selectedIndex = Number(time.value);
      moment();
      shown.draw();
    });
    month.addEventListener("change", () => {
      time.value = String(month.selectedIndex);
      moment();
      shown.draw();
    });
    time.value = String(month.selectedIndex);
    moment();
    for (const id of ["body", "area", "region", "channel", "standing"]) byId(id).addEventListener("change", () => shown.draw());
    byId("q").addEventListener("input", (event) => shown.find(event.target.value));
    byId("q").addEventListener("keydown", (event) => { if (event.key === "Escape") byId("found").hidden = true; });
    byId("expand").addEventListener("click", () => shown.all(true));
    byId("collapse").addEventListener("click", () => shown.all(false));
    byId("nearer").addEventListener("click", () => camera.animatedZoom({ factor: 1.6, duration: 150 }));
    byId("farther").addEventListener("click", () => camera.animatedUnzoom({ factor: 1.6, duration: 150 }));
    byId("whole").addEventListener("click", () => camera.animatedReset({ duration: 150 }));
    byId("plain").addEventListener("click", () => { shown.plain(); shown.tell(null); });
  }

  async function start() {
    const data = await fetched(picture.dataset.source);
    picture.dataset.nothing = byId("told").textContent.trim();
    picture.hidden = false;
    byId("no-picture").hidden = true;
    const shown = new Picture(data);
    listen(shown);
    shown.draw();
    const focus = shown.place.get(picture.dataset.focus);
    if (focus !== undefined) {
      shown.select(focus, { move: true });
      if (picture.dataset.mode === "impact") await shown.impact(focus);
      if (picture.dataset.mode === "flow") await shown.flow(focus, picture.dataset.element);
    }
    requestAnimationFrame(() => { picture.dataset.ready = String(Math.round(performance.now())); }); // ms since the page was asked for
  }

  start().catch((error) => failed(error.message));
})();
