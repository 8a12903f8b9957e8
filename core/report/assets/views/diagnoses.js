/* Diagnoses: each finding with its evidence and what to try, a link to the place, and what every check came to. */

function diagnosesView({findings, checks}) {
  const placeText =
    ({layer, head, query, key}) => [isNumber(layer) ? `layer ${layer}` : "", isNumber(head) ? `head ${head}` : "",
                                    isNumber(query) ? `query ${query}` : "", isNumber(key) ? `key ${key}` : ""]
                                     .filter(Boolean)
                                     .join(", ");

  /* The view in which the finding's place is seen. */
  function placeLink(finding) {
    const {layer, head, query, key} = finding, place = {};
    for (const [name, value] of Object.entries({layer, head, query, key}))
      if (isNumber(value)) place[name] = value;
    if (attention && isNumber(layer))
      return viewLink(
        placeText(finding), isNumber(head) ? "heatmap" : "model-view", {...place, over: "head", against: "nothing"});
    if (data.lens && isNumber(query)) return viewLink(placeText(finding), "lens", {position: query});
    return placeText(finding);
  }
  function findingElement(finding) {
    const {
      severity,
      kind,
      text,
      evidence,
      advice
    } = finding,
    made = element(
      "article", {className: `panel finding ${severity}`},
      element(
        "h3", {}, element("span", {className: `badge ${severity}`, textContent: severity}), ` ${kind} `,
        element("small", {}, placeLink(finding))),
      element("p", {textContent: proseText(text)}),
      tableElement(
        [{name: "evidence", text: true}, {name: "value"}, {name: "threshold"}],
        evidence.map(each => [each.name, figures(each.value), figures(each.threshold)])),
      element("p", {className: "advice"}, element("strong", {textContent: "Try: "}), proseText(advice || "–")));
    made.dataset.kind = kind;
    return made;
  }
  const figures = value => isNumber(value) ? String(Number(value.toPrecision(4))) : "–";
  /* A row for each piece of evidence, and one for each check that found nothing. */
  const rows = () => checks.flatMap(check => {
    const found = findings.filter(finding => finding.kind === check.kind);
    if (!found.length) return [[check.kind, check.outcome, null, null, null, null, null, check.detail]];
    return found.flatMap(
      ({severity, layer, head, query, key, text, evidence, advice}) => evidence.map(
        each =>
          [check.kind, check.outcome, severity, layer, head, query, key, text, each.name, each.value, each.threshold,
           advice]));
  });

  defineView("diagnoses", {
    title: findings.length ? `Diagnoses (${findings.length})` : "Diagnoses",
    watch: [],
    json: () => data.diagnosis,
    build(body) {
      body.append(
        ...(
          findings.length ?
            findings.map(findingElement) :
            [element("p", {className: "panel", textContent: "No finding: every check that applies is clear."})]),
        element("h3", {textContent: "All checks"}),
        tableElement(
          [{name: "check", text: true}, {name: "outcome", text: true}, {name: "what was looked at", text: true}],
          checks.map(
            check =>
              [check.kind,
               element(
                 "span", {className: check.outcome === "finding" ? "badge warning" : "", textContent: check.outcome}),
               proseText(check.detail || "")]),
          {className: "numbers checks"}));
    },
    draw() {},
    picture: () => tablePicture(
      [{name: "check", text: true}, {name: "outcome", text: true}, {name: "detail", text: true}],
      [
        ...findings.map(finding => [finding.kind, finding.severity, proseText(finding.text)]),
        ...checks.map(check => [check.kind, check.outcome, proseText(check.detail || "")])
      ]),
    table: () => ({
      columns: [
        "kind", "outcome", "severity", "layer", "head", "query", "key", "text", "evidence", "value", "threshold",
        "advice"
      ],
      rows: rows()
    }),
  });
}
openers.push(() => {
  if (data.diagnosis) diagnosesView(data.diagnosis);
});
