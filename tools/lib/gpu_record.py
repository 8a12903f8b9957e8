"""What tools/gpu-check found, as lines for the terminal and as a Markdown record."""


def line(step):
    told = [f"{step['seconds']:6.1f} s  {step['status']:8} {step['name']}"]
    if "passed" in step:
        told.append(f"{step['passed']} passed, {step['failed']} failed, {step['not_supported']} not supported")
    for key in ("plugins", "devices"):
        if key in step:
            told.append(", ".join(step[key]) or "none")
    if step.get("reason"):
        told.append(step["reason"].strip().splitlines()[-1][:200])
    return "  ".join(told)


def table(header, rows):
    cells = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |\n" for row in cells)


def milliseconds(value):
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def mebibytes(value):
    return "" if value is None else f"{value / 2**20:.1f}"


def comparison(rows):
    """One line for each row: medians, ratio, goal, memory besides operands and results."""
    lines = []
    for row in rows:
        scry, name = row["scry"], f"{row['kind']}: {row['name']}"
        if "refused" in scry:
            lines.append([name, "refused: " + scry["refused"].splitlines()[-1][:120], "", "", "", "", ""])
            continue
        torch = min(row["torch"], key=lambda entry: entry["ms"]["median"])
        how = ", ".join(filter(None, (scry.get("kernel"), scry.get("precision"))))
        met = "" if row["goal"] is None else f"{row['goal']:.2f} {'met' if row['ratio'] <= row['goal'] else 'missed'}"
        memory = f"{mebibytes(scry.get('scratch_bytes'))} / {mebibytes(torch['extra_bytes'])}"
        ours = f"{milliseconds(scry['ms']['median'])} ({how})"
        theirs = f"{milliseconds(torch['ms']['median'])} ({torch['name']})"
        lines.append([name, ours, theirs, f"{row['ratio']:.2f}", met, memory])
    return table(["row", "scry ms", "PyTorch ms", "ratio", "goal", "scratch / PyTorch's extra, MiB"], lines)


def conformance(steps):
    rows = [
        [*step["name"].split(" ", 1), step["passed"], step["failed"], step["not_supported"], step["status"]]
        for step in steps
    ]
    return table(["tier", "device", "passed", "failed", "not supported", ""], rows)


def sanitizers(steps):
    """Tools down, ops across."""
    found = {tuple(step["name"].split()[1:]): step["status"] for step in steps}
    ops = list(dict.fromkeys(op for _, op in found))
    tools = dict.fromkeys(tool for tool, _ in found)
    words = {"done": "silent", "failed": "FAILED", "not run": "-"}
    return table(["tool", *ops], [[tool, *(words[found.get((tool, op), "not run")] for op in ops)] for tool in tools])


def markdown(record):
    machine, steps = record["machine"], record["steps"]
    named = lambda *names: [step for step in steps if step["name"].split()[0] in names]  # noqa: E731
    parts = [f"# scry on {machine.get('gpu') or 'a machine without an NVIDIA GPU'}\n"]
    parts.append(table(["", ""], [[key, value] for key, value in machine.items()]))
    devices = [[d["name"], d["description"], d["driver"], d["type"]] for d in record["devices"]]
    parts.append("## Devices\n\n" + table(["device", "hardware", "driver", "type"], devices))
    tested = [step for step in named("quick", "full") if "passed" in step]
    if tested:
        parts.append("## Conformance\n\n" + conformance(tested))
    failures = [failure for step in tested for failure in step["failures"]]
    if failures:
        rows = [[failure["name"], failure["kernel"] or "", failure["detail"]] for failure in failures]
        parts.append("## Failures\n\n" + table(["row", "kernel", "what"], rows))
    for step in named("compare"):
        if step.get("rows"):
            parts.append(f"## Beside PyTorch: {step['name'].split()[1]}\n\n" + comparison(step["rows"]))
    for step in named("launches"):
        if step["status"] == "done":
            row = [f"{step[key]:.2f}" for key in ("enqueued_us", "updated_us", "replayed_us")]
            heads = ["enqueued", "captured, and a graph updated", "the same graph again"]
            parts.append("## Launches of small kernels, microseconds each\n\n" + table(heads, [row]))
    for step in named("bench"):
        if step.get("table"):
            parts.append("## scry bench\n\n```\n" + step["table"].rstrip() + "\n```\n")
    if named("sanitizer"):
        parts.append("## compute-sanitizer, quick tier\n\n" + sanitizers(named("sanitizer")))
    undone = [step for step in steps if step["status"] != "done"]
    if undone:
        why = [(step.get("reason") or "").strip()[-160:].replace("\n", " ") for step in undone]
        rows = [[step["name"], step["status"], reason] for step, reason in zip(undone, why)]
        parts.append("## Not done\n\n" + table(["step", "", "why"], rows))
    return "\n".join(parts)
