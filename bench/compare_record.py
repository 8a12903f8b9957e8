"""What was measured, as summaries, goals, Markdown tables and files."""

import json
import statistics


def spread(times):
    """Median, least, and the middle half of some times in milliseconds."""
    ordered = sorted(times)
    quarter = len(ordered) // 4
    return {
        "median": statistics.median(ordered),
        "min": ordered[0],
        "lower_quartile": ordered[quarter],
        "upper_quartile": ordered[-1 - quarter],
        "count": len(ordered),
    }


def summarise(side, mode, runs):
    """One contender's rounds: all times together, each round's median, and the peak over the weights."""
    over = [(run["peak_kib"] - run["baseline_kib"]) / 1024 for run in runs]
    for run in runs:
        run["times_ms"] = run["times_ms"] or [run["first_ms"]]
    versions = {key: runs[0][key] for key in ("version", "transformers", "device") if key in runs[0]}
    return {
        "side": side,
        "mode": mode,
        "ms": spread([ms for run in runs for ms in run["times_ms"]]),
        "round_medians_ms": [statistics.median(run["times_ms"]) for run in runs],
        "peak_over_weights_mib": {"median": statistics.median(over), "min": min(over)},
        "weights_mib": statistics.median(run["baseline_kib"] for run in runs) / 1024,
        "delivered_bytes": runs[0].get("delivered_bytes", 0),
        **versions,
    }


def line(row, found):
    return (
        f"{row.kind:10} T={row.tokens:<5} {found['side']:5} {found['mode']:20} "
        f"{found['ms']['median']:9.1f} ms  {found['peak_over_weights_mib']['median']:7.1f} MiB"
    )


def find(record, kind, tokens):
    return next((row for row in record["rows"] if row["kind"] == kind and row["tokens"] == tokens), None)


def contender(row, side, mode):
    return next((c for c in row["contenders"] if c["side"] == side and c["mode"] == mode), None) if row else None


def faster(row, ours, theirs):
    """How many times faster `ours` is than the fastest of PyTorch's modes `theirs`."""
    scry = contender(row, "scry", ours)
    torch = [found for mode in theirs if (found := contender(row, "torch", mode))]
    return min(found["ms"]["median"] for found in torch) / scry["ms"]["median"] if scry and torch else None


def memory_share(row, ours, theirs):
    """scry's median peak over the weights, as a share of the least that the leanest of PyTorch's modes took."""
    scry = contender(row, "scry", ours)
    torch = [found for mode in theirs if (found := contender(row, "torch", mode))]
    least = min((found["peak_over_weights_mib"]["min"] for found in torch), default=None)
    return scry["peak_over_weights_mib"]["median"] / least if scry and least else None


def statistics_over_capture(record):
    """The time of PyTorch's bare capture at 1,024 tokens over that of scry's statistics."""
    ours = contender(find(record, "statistics", 1024), "scry", "statistics")
    theirs = contender(find(record, "capture", 1024), "torch", "capture")
    return theirs["ms"]["median"] / ours["ms"]["median"] if ours and theirs else None


def growth(record):
    """Peak over the weights at 8,192 tokens over that at 1,024: 8 is linear, 64 quadratic."""
    few = contender(find(record, "statistics", 1024), "scry", "statistics")
    many = contender(find(record, "statistics", 8192), "scry", "statistics")
    if not few or not many:
        return None
    return many["peak_over_weights_mib"]["median"] / few["peak_over_weights_mib"]["median"]


def scores_alone(record):
    """PyTorch's time for head scores from maps that it has already, over what they add to scry's pass; 1,024 tokens."""
    row = find(record, "heads", 1024)
    ours, bare = contender(row, "scry", "heads"), contender(row, "scry", "pass")
    theirs = contender(row, "torch", "heads_stored")
    return theirs["ms"]["median"] / (ours["ms"]["median"] - bare["ms"]["median"]) if ours and bare and theirs else None


def heads_growth(record):
    """Peak over the weights at 4,096 tokens over that at 1,024: 4 is linear, 16 quadratic."""
    few, many = (contender(find(record, "heads", tokens), "scry", "heads") for tokens in (1024, 4096))
    return many["peak_over_weights_mib"]["median"] / few["peak_over_weights_mib"]["median"] if few and many else None


def goals(record):
    """(what, reached, limit, at least or at most, met); rows that were not run are left out."""
    found = []

    def goal(what, value, limit, at_least=True):
        if value is not None:
            met = value >= limit if at_least else value <= limit
            found.append({"what": what, "value": value, "limit": limit, "at_least": at_least, "met": met})

    at_most = False
    both = ["capture", "capture_hooks"]
    for tokens, limit in ((128, 1), (512, 1), (1024, 3)):
        row = find(record, "capture", tokens)
        goal(f"capture of all maps, T={tokens}: times faster", faster(row, "capture", both), limit)
        goal(f"... with every map kept, T={tokens}: times faster", faster(row, "kept", ["capture"]), limit)
    row = find(record, "capture", 1024)
    goal("capture, T=1024, handed over by layer: memory", memory_share(row, "capture", ["capture"]), 1 / 3, at_most)
    goal("... of PyTorch's that frees maps by layer", memory_share(row, "capture", ["capture_hooks"]), 1 / 3, at_most)
    goal("... with every map kept", memory_share(row, "kept", ["capture"]), 1 / 3, at_most)
    both = ["statistics", "statistics_hooks"]
    for tokens in (128, 512, 1024):
        row = find(record, "statistics", tokens)
        goal(f"statistics of all heads, T={tokens}: times faster", faster(row, "statistics", both), 4)
    goal("... against PyTorch's pass that only captures, T=1024: times faster", statistics_over_capture(record), 4)
    goal("statistics, T=8192 over T=1024: growth of memory", growth(record), 8 * 1.25, at_most)
    goal("head scores, T=1024, what they add to a pass, against PyTorch's from stored maps: times faster",
         scores_alone(record), 10)
    goal("... the whole pass with them, against PyTorch's: times faster",
         faster(find(record, "heads", 1024), "heads", ["heads", "heads_hooks"]), 4)
    goal("head scores, T=4096 over T=1024: growth of memory", heads_growth(record), 4 * 1.25, at_most)
    row = find(record, "attention", 1024)
    goal("attention op with statistics, against eager with its map: times faster",
         faster(row, "attention", ["attention"]), 10)
    row = find(record, "lens", 512)
    goal("lens, top-10, T=512: times faster", faster(row, "lens", ["lens_layers", "lens_all"]), 2)
    goal("lens: memory, of all layers at once", memory_share(row, "lens", ["lens_all"]), 1 / 20, at_most)
    goal("... of layer by layer", memory_share(row, "lens", ["lens_layers"]), 1 / 20, at_most)
    for kind, times in record.get("cold_lens_ms", {}).items():
        goal(f"scry lens on the demo model, files {kind}: ms", times["median"], 300, at_most)
    return found


def table(headings, rows):
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    return lines + ["| " + " | ".join(cells) + " |" for cells in rows]


def rounds_range(ours, theirs):
    """Least and largest ratio of the medians within a round."""
    ratios = [their / our for our, their in zip(ours["round_medians_ms"], theirs["round_medians_ms"])]
    return f"{min(ratios):.2f}-{max(ratios):.2f}" if ratios else ""


def row_cells(row):
    scry = row["contenders"][0]
    for found in row["contenders"]:
        ms = found["ms"]
        ratio = f"{ms['median'] / scry['ms']['median']:.2f}" if found is not scry else "1"
        yield [
            row["kind"],
            str(row["tokens"]),
            f"{found['side']} {found['mode']}",
            f"{ms['median']:.1f}",
            f"{ms['min']:.1f}",
            f"{ms['lower_quartile']:.1f}-{ms['upper_quartile']:.1f}",
            ratio,
            rounds_range(scry, found) if found is not scry else "",
            f"{found['peak_over_weights_mib']['median']:.1f}",
            f"{found['peak_over_weights_mib']['min']:.1f}",
            f"{row['load_average']:.1f}",
        ]


def goal_lines(goals):
    reached = [
        [goal["what"], f"{goal['value']:.3g}", f"{'≥' if goal['at_least'] else '≤'} {goal['limit']:g}",
         "yes" if goal["met"] else "**no**"]
        for goal in goals
    ]
    return ["## Goals", "", *table(["what", "reached", "goal", "met"], reached)]


def markdown(record):
    at = record["machine"]
    sides = {c["side"]: c for row in record["rows"] for c in row["contenders"]}
    lines = [f"# scry beside PyTorch, {at['date'][:10]}", ""]
    lines.append(
        f"{at['cpu']}, {at['cores']} cores, {at['memory']}, Linux {at['kernel']}; {at['threads']} threads each; "
        f"commit {at['commit'][:12]}."
    )
    if "torch" in sides:
        torch = sides["torch"]
        lines.append(f"PyTorch {torch['version']}, transformers {torch['transformers']}, eager attention, float32.")
    headings = ["run", "T", "contender", "median ms", "min", "middle half", "times scry's first", "by round"]
    headings += ["MiB over weights", "least", "load"]
    lines += ["", *table(headings, [cells for row in record["rows"] for cells in row_cells(row)]), ""]
    checks = [
        [row["kind"], str(row["tokens"]), kind, f"{value:.2e}"]
        for row in record["rows"]
        for kind, value in row.get("largest_difference", {}).items()
    ]
    lines += ["## The same numbers", "", *table(["run", "T", "number", "largest difference"], checks), ""]
    lines += [*goal_lines(record["goals"]), ""]
    for kind, times in record.get("cold_lens_ms", {}).items():
        lines.append(
            f"`scry lens` on the demo model, whole process, files {kind}: median {times['median']:.0f} ms, "
            f"{times['lower_quartile']:.0f}-{times['upper_quartile']:.0f}, of {times['count']}."
        )
    return "\n".join(lines) + "\n"


def write(output, record, text):
    """Prints the text, and writes OUTPUT.json and OUTPUT.md where there is an output."""
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        output.with_suffix(".md").write_text(text)
    print(text)
