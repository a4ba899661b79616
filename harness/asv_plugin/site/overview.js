// The first page: every case of one environment with its count, its changes, its history, and what is behind it.
//
//     index.html                                     the newest environment
//     index.html#environment=NAME&find=TEXT          another one; only cases with the text in their names
//
// Addresses of asv's own pages, which lay here, lead there. All text from elsewhere is set as text.
"use strict";

// `compares`: has nothing to say of one commit alone.
const COLUMNS = [
    {key: "name", head: "case", kind: "left name"},
    {key: "count", head: "instructions a call"},
    {key: "before", head: "since the commit before", compares: true},
    {key: "oldest", head: "since the oldest", compares: true},
    {key: "history", head: "history", kind: "left", sorted: false},
    {key: "noise", head: "noise"},
    {key: "parts", head: "where they go", kind: "left", sorted: false},
    {key: "moved", head: "what moved most", kind: "left", compares: true},
];
let columns = COLUMNS;
const percent = (part) => `${part > 0 ? "+" : part < 0 ? "−" : "±"}${(100 * Math.abs(part)).toFixed(Math.abs(part) < 0.1 ? 2 : 1)} %`;
const exact = (value) => value.toLocaleString("en", {maximumFractionDigits: 2});

// ---- rows

// What is known of a case at the newest commit of its environment.
function measured(row, commits, newest) {
    const counted = row.counts.map((count, at) => [at, count]).filter(([, count]) => count !== null);
    const [at, count] = counted.at(-1);
    const before = counted.at(-2)?.[1];
    const oldest = counted[0][1];
    const parameters = Object.entries(row.parameters).map(([name, value]) => `${name}=${value}`).join(", ");
    return {
        ...row, at, count, parameters,
        name: `${row.benchmark}${parameters && ` ${parameters}`}`,
        file: row.benchmark.split(".").slice(0, -1).join("."),
        fresh: at === newest,
        before: before === undefined ? undefined : (count - before) / before,
        oldest: counted.length < 2 ? undefined : (count - oldest) / oldest,
        points: counted,
    };
}

const share = (case_) => case_.before ?? 0;
const isNews = (case_) => case_.fresh && case_.before !== undefined && Math.abs(case_.before) > (case_.noise ?? 0);

function reasons(case_) {
    if (!case_.profile) {
        return undefined;
    }
    const asked = {commit: case_.profile, benchmark: case_.benchmark, environment: case_.environment};
    Object.entries(case_.parameters_ ?? {}).forEach(([name, value]) => { asked[`p-${name}`] = value; });
    return `reasons.html#${new URLSearchParams(asked)}`;
}

function graph(case_) {
    const asked = new URLSearchParams();
    Object.keys(case_.parameters_ ?? {}).forEach((name, at) => asked.append(`p-${name}`, case_.asv[at]));
    return `asv.html#${case_.benchmark}.track_instructions${asked.size ? `?${asked}` : ""}`;
}

// ---- drawing

// Hues of the parts, the largest first, far from each other.
const hues = new Map();
const hue = (name) => hues.get(name);

function spread(cases) {
    const sums = new Map();
    cases.flatMap((case_) => case_.parts ?? []).forEach(([name, part]) => sums.set(name, (sums.get(name) ?? 0) + part));
    hues.clear();
    [...sums].toSorted((one, other) => other[1] - one[1]).forEach(([name], at) => hues.set(name, (210 + 137.5 * at) % 360));
}

function changed(value, noise) {
    if (value === undefined) {
        return "";
    }
    const kind = Math.abs(value) <= (noise ?? 0) ? "dim" : value > 0 ? "more" : "less";
    return element("span", {class: kind}, value === 0 ? "no change" : percent(value));
}

function spark(case_, commits) {
    const counts = case_.points.map(([, count]) => count);
    const words = `${counts.length} counts, from ${readable(counts[0])} to ${readable(counts.at(-1))}`;
    const band = (case_.noise ?? 0) * case_.count;
    const low = Math.min(...counts, case_.count - band), high = Math.max(...counts, case_.count + band);
    const x = (at) => 4 + 112 * (commits.length < 2 ? 0.5 : at / (commits.length - 1));
    const y = (count) => 23 - 20 * (high === low ? 0.5 : (count - low) / (high - low));
    const drawn = element("svg", {class: "spark", viewBox: "0 0 120 26", role: "img", "aria-label": words});
    drawn.append(element("title", {}, words),
        element("rect", {x: 0, width: 120, y: y(case_.count + band), height: Math.max(1, y(case_.count - band) - y(case_.count + band))}),
        element("polyline", {points: case_.points.map(([at, count]) => `${x(at)},${y(count)}`).join(" ")}),
        element("circle", {cx: x(case_.points.at(-1)[0]), cy: y(case_.count), r: 2.5}));
    return element("a", {href: graph(case_), "aria-label": `graph of ${case_.name}`}, drawn);
}

function bar(case_) {
    if (!case_.parts) {
        return "";
    }
    const words = case_.parts.map(([name, part]) => `${name} ${(100 * part).toFixed(0)} %`).join(", ");
    return element("div", {class: "bar", role: "img", "aria-label": words, title: words},
        ...case_.parts.map(([name, part]) => element("span", {style: `--hue: ${hue(name)}; width: ${100 * part}%`})));
}

function moved(case_) {
    if (!case_.moved || !(Math.abs(case_.before) > (case_.noise ?? 0))) {
        return ""; // within the noise whatever moved most means nothing
    }
    const [name, place, instructions] = case_.moved;
    return element("span", {class: "moved"}, `${name} `, element("span", {class: "place"}, place),
        ` ${instructions > 0 ? "+" : "−"}${readable(Math.abs(instructions))}`);
}

function caseRow(case_, commits) {
    const target = reasons(case_);
    const cells = {
        name: [target ? element("a", {href: target}, case_.name) : case_.name,
            case_.fresh ? undefined : element("span", {class: "note"}, `last counted at ${commits[case_.at][0].slice(0, 10)}`),
            ...(case_.notes ?? []).map((note) => element("span", {class: "note"}, note))],
        count: [element("span", {title: exact(case_.count)}, readable(case_.count))],
        before: [changed(case_.before, case_.noise)],
        oldest: [changed(case_.oldest, case_.noise)],
        history: [case_.points.length > 1 ? spark(case_, commits) : element("a", {href: graph(case_)}, "graph")],
        noise: [case_.noise === null ? "" : `±${(100 * case_.noise).toFixed(2)} %`],
        parts: [bar(case_)],
        moved: [moved(case_)],
    };
    return element("tr", {class: "case"}, ...columns.map(({key, head, kind}) =>
        element("td", {class: kind, "data-label": key === "name" ? undefined : head}, ...cells[key].filter((each) => each !== ""))));
}

const VALUES = {
    name: (case_) => case_.name, count: (case_) => case_.count, noise: (case_) => case_.noise ?? -1,
    before: (case_) => case_.before ?? 0, oldest: (case_) => case_.oldest ?? 0, moved: (case_) => Math.abs(case_.moved?.[2] ?? 0),
};

function body(cases, commits, sort) {
    const ordered = cases.toSorted((one, other) => {
        const [a, b] = [VALUES[sort.key](one), VALUES[sort.key](other)];
        return (a < b ? -1 : a > b ? 1 : 0) * sort.sign;
    });
    const made = element("tbody");
    let file;
    for (const case_ of ordered) {
        if (sort.key === "name" && case_.file !== file) {
            file = case_.file;
            made.append(element("tr", {class: "file"}, element("th", {colspan: columns.length, scope: "rowgroup"}, file)));
        }
        made.append(caseRow(case_, commits));
    }
    return made;
}

function verdicts(cases) {
    const news = cases.filter(isNews).toSorted((one, other) => Math.abs(share(other)) - Math.abs(share(one)));
    const list = (heading, kind, chosen) => element("section", {}, element("h2", {}, `${heading}: ${chosen.length}`),
        element("ul", {}, ...chosen.slice(0, 10).map((case_) => element("li", {},
            element("span", {class: kind}, percent(case_.before)), " ",
            reasons(case_) ? element("a", {href: reasons(case_)}, case_.name) : case_.name,
            " ", moved(case_))),
        ...(chosen.length > 10 ? [element("li", {class: "dim"}, `and ${chosen.length - 10} more`)] : [])));
    return element("div", {class: "verdicts"},
        list("Regressed", "more", news.filter((case_) => case_.before > 0)),
        list("Improved", "less", news.filter((case_) => case_.before < 0)));
}

// ---- the page

function show(data) {
    const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const last = (environment) => Math.max(...data.rows.filter((row) => row.environment === environment)
        .map((row) => row.counts.findLastIndex((count) => count !== null)));
    const environments = [...new Set(data.rows.map((row) => row.environment))]
        .toSorted((one, other) => last(other) - last(one) || (one < other ? -1 : 1));
    const environment = environments.includes(asked.environment) ? asked.environment : environments[0];
    const rows = data.rows.filter((row) => row.environment === environment);
    const newest = last(environment);
    const cases = rows.map((row) => ({...measured(row, data.commits, newest), parameters_: row.parameters}));
    const [hash, seconds, subject] = data.commits[newest];
    const several = cases.some((case_) => case_.before !== undefined);
    columns = several ? COLUMNS : COLUMNS.filter((column) => !column.compares);
    spread(cases);
    const state = {sort: {key: "name", sign: 1}, find: asked.find ?? ""};

    const table = element("table", {class: "cases"}, element("caption", {id: "shown"}));
    const heads = element("tr", {}, ...columns.map(({key, head, kind, sorted}) => {
        const made = element("th", {class: kind, scope: "col"}, sorted === false ? head : element("button", {type: "button"}, head));
        made.querySelector("button")?.addEventListener("click", () => {
            state.sort = {key, sign: state.sort.key === key ? -state.sort.sign : key === "name" ? 1 : -1};
            draw();
        });
        return made;
    }));
    table.append(element("thead", {}, heads), element("tbody"));

    function draw() {
        const words = state.find.toLowerCase().split(/\s+/);
        const chosen = cases.filter((case_) => words.every((word) => case_.name.toLowerCase().includes(word)));
        table.caption.textContent = `${chosen.length} of ${cases.length} cases`;
        table.tBodies[0].replaceWith(body(chosen, data.commits, state.sort));
        columns.forEach(({key}, at) => {
            heads.children[at].ariaSort = key === state.sort.key ? (state.sort.sign > 0 ? "ascending" : "descending") : null;
        });
    }

    const find = element("input", {type: "search", value: state.find, id: "find"});
    find.addEventListener("input", () => { state.find = find.value; draw(); });
    const tools = element("form", {class: "tools"}, element("label", {for: "find"}, "find a case", find));
    tools.addEventListener("submit", (event) => event.preventDefault());
    if (environments.length > 1) {
        const select = element("select", {id: "environment"}, ...environments.map((each) =>
            element("option", {selected: each === environment}, each)));
        select.addEventListener("change", () => { location.hash = new URLSearchParams({environment: select.value}); });
        tools.append(element("label", {for: "environment"}, "environment", select));
    }
    document.getElementById("project").textContent = data.project;
    document.title = `Overview · ${data.project}`;
    document.getElementById("main").replaceChildren(
        element("h1", {}, subject),
        element("p", {class: "dim"}, `${hash.slice(0, data.digits)}, ${new Date(1000 * seconds).toISOString().slice(0, 10)}, the newest of `,
            `${data.commits.length} ${data.commits.length === 1 ? "commit" : "commits"} counted; instructions a call`),
        several ? verdicts(cases) : element("p", {}, "One commit is counted so far. Count another one to see what changes."),
        tools, table,
        element("h2", {}, "Parts"),
        element("ul", {class: "parts"}, ...[...hues.keys()].map((name) => element("li", {},
            element("span", {class: "swatch", style: `--hue: ${hue(name)}`}), name))));
    draw();
    document.body.dataset.shown = location.hash || "#";
}

async function start() {
    // asv's addresses, from before this page stood in its place.
    if (/^#(\/|summarylist|regressions|[\w.]+\.track_)/.test(location.hash)) {
        location.replace(`asv.html${location.hash}`);
        return;
    }
    try {
        const answer = await fetch("overview.json");
        if (!answer.ok) {
            throw new Error(`overview.json is not there (status ${answer.status})`);
        }
        const data = await answer.json();
        if (!data.rows.length) {
            throw new Error("nothing is counted yet: `make bench` counts the quick suite");
        }
        show(data);
        addEventListener("hashchange", () => show(data));
    } catch (error) {
        document.getElementById("main").replaceChildren(element("h1", {}, "Nothing to show"), element("p", {class: "notice"}, error.message));
        document.body.dataset.shown = location.hash || "#";
    }
}

start();
