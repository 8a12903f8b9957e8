/* Logit trace: how the model goes on, step by step: candidates with probability and raw logit, how sure each step was,
 * flags for a distribution that is too sure or too flat, and what other temperatures would make of it. */

function traceView(generation) {
  const {steps} = generation, left = 60;
  let figure, table, detail;
  limits.step = [0, Math.max(0, steps.length - 1)];
  const flagOf = step => step.flag || null;

  /* The chosen token's probability and the entropy, over the steps. */
  function layout(width) {
    return {width: Math.min(width, 900), height: 250};
  }
  function draw(pen, {width}, colours) {
    const entropies = steps.map(step => step.entropy), most = Math.max(1, largestOf(entropies.filter(isNumber)));
    const box = {x: left, y: 34, width: width - left - 20, height: 150};
    const {across} = drawChart(
      pen, {
        series: [
          {
            name: `entropy ÷ ${most.toFixed(2)} nats`,
            values: entropies.map(value => value / most),
            colour: colours.accent
          },
          {name: "probability of the chosen", values: steps.map(step => step.chosen.probability), colour: colours.mark}
        ],
        least: 0,
        most: 1,
        xRoom: 64,
        xLabel: i => steps[i] ? labelText(steps[i].chosen.text) : ""
      },
      box, colours);
    pen.line(across(state.step), box.y, across(state.step), box.y + box.height, {stroke: colours.soft});
  }

  function showDetail() {
    const step = steps[state.step];
    const rows = step.top.map(
      candidate =>
        [tokenElement(labelText(candidate.text)), percent(candidate.probability), fixed(candidate.logit),
         ...(step.temperatures || []).map(each => percent((each.probabilities || [])[step.top.indexOf(candidate)]))]);
    const columns = [
      {name: "candidate", text: true}, {name: "probability"}, {name: "raw logit"},
      ...(step.temperatures || []).map(each => ({name: `at T = ${each.temperature}`}))
    ];
    detail.replaceChildren(
      element("h3", {textContent: `Step ${step.step}`}),
      element("div", {className: "scroll"}, tableElement(columns, rows)), element("p", {
        className: "note",
        textContent: `entropy ${fixed(step.entropy)} nats, log of the sum of exp(logit) ${fixed(step.lse)}`
      }));
  }
  function fill() {
    table.replaceChildren(
      element(
        "thead", {},
        element(
          "tr", {},
          ...["step", "token", "probability", "logit", "entropy", "flag", "runners-up"].map(
            (name, i) => element("th", {textContent: name, className: i === 1 || i > 4 ? "text" : "", scope: "col"})))),
      element("tbody", {}, ...steps.map((step, i) => {
        const button = element("button", {type: "button", className: "link", textContent: i});
        button.addEventListener("click", () => update({step: i}));
        return element(
          "tr", {className: i === state.step ? "chosen" : ""}, element("th", {}, button),
          element("td", {className: "text"}, tokenElement(labelText(step.chosen.text))),
          element("td", {textContent: percent(step.chosen.probability)}),
          element("td", {textContent: fixed(step.chosen.logit)}), element("td", {textContent: fixed(step.entropy)}),
          element(
            "td", {className: "text"},
            flagOf(step) ? element("span", {className: "badge warning", textContent: flagOf(step)}) : ""),
          element(
            "td", {className: "text"},
            ...step.top.filter(candidate => candidate.id !== step.chosen.id)
              .slice(0, 3)
              .flatMap(candidate => [tokenElement(labelText(candidate.text)), ` ${percent(candidate.probability)} `])));
      })));
  }

  defineView("trace", {
    title: "Logit trace",
    watch: ["step"],
    json: () => generation,
    build(body) {
      const box = element("div", {className: "figure-box"});
      table = element("table", {className: "numbers"});
      detail = element("div", {className: "panel"});
      body.append(
        element(
          "p", {className: "note"}, "The prompt goes on with ", tokenElement(proseText(generation.text)),
          ` (ended by: ${generation.stop_reason})`),
        box, element("div", {className: "beside"}, element("div", {className: "scroll tall"}, table), detail));
      figure = makeFigure(box, {
        label: "Entropy and the chosen token's probability by step; left and right choose a step",
        layout,
        draw,
        at: (x, y, {width}) => x < left - 10 ?
          null :
          clamp(Math.round((x - left) / (width - left - 20) * Math.max(1, steps.length - 1)), 0, steps.length - 1),
        choose: step => update({step}),
        step: ([down, right]) => update({step: state.step + right + down}),
      });
    },
    draw() {
      figure.redraw();
      fill();
      showDetail();
    },
    picture: () => figure.picture(900),
    table: () => ({
      columns: ["step", "id", "token", "chosen", "probability", "logit", "entropy"],
      rows: steps.flatMap(
        step => step.top.map(
          candidate =>
            [step.step, candidate.id, candidate.text, candidate.id === step.chosen.id ? 1 : 0, candidate.probability,
             candidate.logit, step.entropy]))
    }),
  });
}
openers.push(() => {
  if (data.generation && data.generation.steps.length) traceView(data.generation);
});
