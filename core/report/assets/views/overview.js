/* Overview: the prose and tables that stand in the file as they are, with ways on to what they speak of. */

function overview() {
  const top = data.next || [];
  const layout = width => ({width: Math.min(width, 720), height: 46 + 28 * top.length});
  function draw(pen, {width}, colours) {
    pen.text(14, 18, "Next token", {size: 14, fill: colours.ink});
    const most = Math.max(1e-9, ...top.map(candidate => candidate.probability || 0)), room = width - 330;
    top.forEach((candidate, i) => {
      const y = 48 + 28 * i;
      pen.text(14, y, fitText(candidate.label, 150, labelStyle), {...labelStyle, fill: colours.ink});
      pen.rect(176, y - 8, Math.max(1, room * (candidate.probability || 0) / most), 16, {fill: colours.bar});
      pen.text(
        width - 14, y, `${percent(candidate.probability)}   logit ${fixed(candidate.logit)}`,
        {size: 12, align: "right", fill: colours.soft});
    });
  }

  /* The first findings, and the heads that stand out most, as links. */
  function worthSeeing() {
    const items = [];
    const findings = data.diagnosis ? data.diagnosis.findings : [];
    for (const finding of findings.slice(0, 3))
      items.push([
        element("span", {className: `badge ${finding.severity}`, textContent: finding.severity}), " ",
        proseText(finding.text), " ", viewLink("see", "diagnoses", {})
      ]);
    if (data.diagnosis && !findings.length)
      items.push([`No finding in ${data.diagnosis.checks.length} checks `, viewLink("see", "diagnoses", {})]);
    const [way] = patchWays();
    if (way) {
      const story = patchStory(way);
      items.push([...(story.length ? story : ["Activations were patched."]), " ", viewLink("see", "patching", {})]);
    }
    const strong = new Map(); /* of each kind the head that has most of it */
    for (const head of data.heads ? data.heads.heads : []) {
      const most = strong.get(head.kind);
      if (head.certainty === "strong" && !(most && most.scores[head.kind].value >= head.scores[head.kind].value))
        strong.set(head.kind, head);
    }
    for (const {layer, head, kind, scores} of strong.values()) {
      const link =
        viewLink(`head ${headName(layer, head)}`, "heatmap", {layer, head, over: "head", against: "nothing"});
      const article = "aeiou".includes(kind[0]) ? "an" : "a", value = fixed(scores[kind].value);
      items.push(
        [link, ` is ${article} ${kind} head: ${value} where random weights give ${fixed(kindOf(kind).random_mean)}`]);
    }
    return items;
  }

  /* All heads in small beside the last position's table; a click opens one. */
  let glance = null, hover = null;
  function buildGlance() {
    const box = byId("glance");
    glance = makeFigure(box, {
      label: "All heads in small: layers down, heads across",
      ...headsGrid({widest: 44, pointed: () => hover, marks: false}),
      hover: what => {
        hover = what;
        glance.canvas.title = what ? `layer ${what[0]}, head ${what[1]}` : "";
        glance.redraw();
      },
      choose: ([layer, head]) => openView("model-view", {layer, head}),
    });
    box.prepend(element("h2", {textContent: "Where every head looks"}));
    box.append(element(
      "p", {className: "note"}, "Rows are queries, columns keys. ", viewLink("All heads, larger", "model-view", {})));
    box.hidden = false;
  }

  defineView("overview", {
    title: "Overview",
    watch: ["curve"],
    build() {
      if (attention) buildGlance();
      const items = worthSeeing();
      if (items.length)
        byId("overview")
          .querySelector(".prose")
          .append(
            element("h3", {textContent: "Worth seeing"}),
            element("ul", {className: "worth"}, ...items.map(item => element("li", {}, ...item))));
    },
    draw() {
      if (glance) glance.redraw();
    },
    picture: () => ({layout: layout(720), draw}),
    table: () => ({
      columns: ["id", "token", "probability", "logit"],
      rows: top.map(candidate => [candidate.id, candidate.text, candidate.probability, candidate.logit])
    }),
  });
}

openers.unshift(overview);
