// Shows what pages.py has published, as the address asks: commits, one commit's cases, one case's profile.
//
//     reasons.html                                              all commits
//     reasons.html#commit=HASH                                  one commit, the benchmarks that moved first
//     reasons.html#commit=HASH&benchmark=NAME&p-device=cpu      a case; also environment=, view=python, colour=change
//
// A missing commit is the newest that has the benchmark. Text from profiles is only ever set as text.
"use strict";

// ---- numbers, as numbers.js writes them

const exact = (value) => value.toLocaleString("en", {maximumFractionDigits: 2});
const signed = (value, text) => (value > 0 ? "+" : value < 0 ? "−" : "±") + text(Math.abs(value));
const percent = (part) => `${(100 * part).toFixed(Math.abs(part) < 0.1 ? 2 : 1)} %`;
const change = (value, base) => (value === 0 ? "no change" : signed(value / base, percent));
const direction = (value) => (value > 0 ? "more" : value < 0 ? "less" : "");

// ---- elements, as elements.js makes them

const link = (asked, ...text) => element("a", {href: `#${new URLSearchParams(asked)}`}, ...text);

function table(caption, heads, rows) {
    const cell = (tag, [kind, ...content]) => element(tag, {class: kind || undefined}, ...content);
    return element("table", {},
        element("caption", {}, caption),
        element("thead", {}, element("tr", {}, ...heads.map((head) => cell("th", head)))),
        element("tbody", {}, ...rows.map((row) =>
            element("tr", {class: row.total ? "total" : undefined}, ...row.cells.map((each) => cell("td", each))))));
}

const figure = (value, of) => ["", element("span", {title: exact(value)}, readable(value)), ...(of ? [` ${of}`] : [])];

// ---- data

const loaded = new Map();

function load(path) {
    if (!loaded.has(path)) {
        loaded.set(path, fetchJson(path));
    }
    return loaded.get(path);
}

async function fetchJson(path) {
    const answer = await fetch(path);
    if (!answer.ok) {
        throw new Error(`${path} is not there (status ${answer.status})`);
    }
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) { // not every server unpacks what ends in .gz, and few do
        return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
    }
    return JSON.parse(new TextDecoder().decode(bytes));
}

// As pages.py names files; and that, in an address, once more.
const file = (name) => encodeURIComponent(encodeURIComponent(name).replace(/^\./, "%2E"));
const folder = (commit, environment) => `reasons/${commit}/${file(environment)}`;
const texts = (parameters) => Object.entries(parameters).map(([name, value]) => `${name}=${value}`).join(", ");
const keys = (parameters) => Object.fromEntries(Object.entries(parameters).map(([name, value]) => [`p-${name}`, value]));

// ---- pages

async function show() {
    const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const main = document.getElementById("main");
    try {
        const index = await load("reasons/index.json");
        document.getElementById("project").textContent = index.project;
        const content = await page(index, asked);
        main.replaceChildren(...content);
        document.title = `${main.querySelector("h1").textContent} · ${index.project}`;
    } catch (error) {
        main.replaceChildren(element("h1", {}, "Not here"), element("p", {class: "notice"}, error.message));
    }
    document.body.dataset.shown = location.hash;
}

async function page(index, asked) {
    if (!asked.commit && !asked.benchmark) {
        trail([]);
        return commits(index);
    }
    const found = asked.commit
        ? index.commits.filter((each) => each.hash.startsWith(asked.commit))
        : index.commits.filter((each) => Object.values(each.environments).some((names) => names.includes(asked.benchmark)));
    const commit = found.at(-1);
    if (!commit) {
        throw new Error(`nothing is published of ${asked.commit ? `commit ${asked.commit}` : asked.benchmark}; ` +
            "a count is published once it is kept beside asv's results, and counts of the readable counter have no profile");
    }
    const short = commit.hash.slice(0, index.digits);
    const own = link({commit: commit.hash}, short);
    if (!asked.benchmark) {
        trail([own]);
        return oneCommit(index, commit);
    }
    trail([own, asked.benchmark]);
    return profile(index, commit, asked);
}

function trail(steps) {
    const place = document.getElementById("trail");
    place.replaceChildren(" / ", link({}, "reasons"), ...steps.flatMap((step) => [" / ", step]));
}

const day = (seconds) => new Date(1000 * seconds).toISOString().slice(0, 10);

function commits(index) {
    const rows = index.commits.toReversed().map((commit) => ({cells: [
        ["", link({commit: commit.hash}, commit.hash.slice(0, index.digits))],
        ["", day(commit.seconds)],
        ["name", commit.subject],
        ["", String(new Set(Object.values(commit.environments).flat()).size)],
    ]}));
    return [element("h1", {}, "Reasons"), table("Commits whose counts were kept with profiles, newest first",
        [["", "commit"], ["", "made"], ["name", "subject"], ["", "benchmarks"]], rows)];
}

async function oneCommit(index, commit) {
    const rows = [];
    for (const environment of Object.keys(commit.environments)) {
        const benchmarks = await load(`${folder(commit.hash, environment)}/index.json.gz`);
        for (const [benchmark, cases] of Object.entries(benchmarks)) {
            for (const each of cases) {
                rows.push({environment, benchmark, ...each, moved: each.before === undefined ? 0 : each.number - each.before});
            }
        }
    }
    const share = (row) => Math.abs(row.moved / (row.before || 1));
    rows.sort((one, other) => share(other) - share(one));
    const cells = rows.map((row) => ({cells: [
        ["name", link({commit: commit.hash, benchmark: row.benchmark, environment: row.environment, ...keys(row.parameters)},
            `${row.benchmark} ${texts(row.parameters)}`)],
        figure(row.number),
        [direction(row.moved), row.before === undefined ? "first" : change(row.moved, row.before)],
    ]}));
    return [
        element("h1", {}, commit.subject),
        element("p", {class: "dim"}, `${commit.hash}, ${day(commit.seconds)}`),
        table("Cases counted here, those that moved most since the count before first",
            [["name", "case"], ["", "instructions a call"], ["", "change"]], cells),
    ];
}

async function profile(index, commit, asked) {
    const environments = Object.keys(commit.environments)
        .filter((each) => commit.environments[each].includes(asked.benchmark));
    const environment = environments.includes(asked.environment) ? asked.environment : environments[0];
    if (!environment) {
        throw new Error(`nothing is published of ${asked.benchmark} at ${commit.hash.slice(0, index.digits)}`);
    }
    const bundle = await load(`${folder(commit.hash, environment)}/${file(asked.benchmark)}.json.gz`);
    const wanted = Object.entries(asked).filter(([name]) => name.startsWith("p-"));
    // A value is asked for as people call it, or, from asv's pages, as asv lists it.
    const fits = (each) => wanted.filter(([name, value]) => {
        const at = Object.keys(each.parameters).indexOf(name.slice(2));
        return at >= 0 && [Object.values(each.parameters)[at], each.asv?.[at]].includes(value);
    }).length;
    const shown = bundle.cases.reduce((best, each) => (fits(each) > fits(best) ? each : best));
    const kind = shown.views[asked.view] ? asked.view : "c";
    const view = new View(bundle, shown, shown.views[kind]);
    const here = {commit: commit.hash, benchmark: asked.benchmark, environment, ...keys(shown.parameters), view: kind};
    const short = (hash) => hash.slice(0, index.digits);

    return [
        element("h1", {}, `${asked.benchmark} ${texts(shown.parameters)}`),
        element("p", {class: "dim"}, link({commit: commit.hash}, short(commit.hash)), ` ${commit.subject}, ${day(commit.seconds)}`),
        element("p", {},
            element("span", {class: "number", title: exact(view.number)}, readable(view.number)),
            `${exact(view.number)} instructions a call`,
            ...(view.moved ? [", ", element("span", {class: direction(view.change)}, change(view.change, view.moved.base)),
                " since ", link({...here, commit: shown.before}, short(shown.before))] : [])),
        ...(shown.notes || []).map((note) => element("p", {class: "dim"}, `Note: ${note}`)),
        controls(index, commit, bundle, shown, environments, here),
        ...(shown.differs || []).map((line) =>
            element("p", {class: "notice"}, `Not counted as at ${short(shown.before)}: ${line}`)),
        ...flameGraph(view, asked.colour === "change" && view.moved !== undefined),
        ...(view.moved ? [element("h2", {id: "moved"}, `What moved since ${short(shown.before)}`), movedTable(view)] : []),
        element("div", {class: "columns"},
            element("section", {}, element("h2", {}, "By part"), sharesTable(view, "part",
                view.data.parts.map(([part, own]) => [swatch(bundle.parts[part][1]), bundle.parts[part][0], own]))),
            element("section", {}, element("h2", {}, "By library"), sharesTable(view, "library",
                view.data.libraries.map(([name, own]) => ["", name, own])))),
        element("h2", {}, kind === "python" ? "By Python function" : "By C function"),
        functionsTable(view),
    ];
}

// A case's profile with the words to tell it.
class View {
    constructor(bundle, shown, data) {
        Object.assign(this, {bundle, data, moved: data.moved, python: data === shown.views.python});
        this.number = this.perCall(data.total - data.overhead);
        this.change = data.moved ? data.moved.head - data.moved.base : 0;
    }

    perCall(instructions) {
        return instructions / this.data.calls;
    }

    share(instructions) {
        return instructions / (this.data.total - this.data.overhead);
    }

    named(number, line = 0) {
        const [name, place] = this.bundle.names[number];
        return ["name", name, " ", element("span", {class: "place"}, place + (line ? `:${line}` : ""))];
    }
}

const swatch = (hue) => element("span", {class: "swatch part", style: `--hue: ${hue}`});

function controls(index, commit, bundle, shown, environments, here) {
    const go = (asked) => { location.hash = new URLSearchParams(asked); };
    const choice = (label, options, chosen, pick) => element("label", {}, label, (() => {
        const made = element("select", {}, ...options.map(([text], at) =>
            element("option", {value: at, selected: at === chosen}, text)));
        made.addEventListener("change", () => pick(options[made.value][1]));
        return made;
    })());
    const form = element("form", {});
    form.addEventListener("submit", (event) => event.preventDefault());
    if (bundle.cases.length > 1) {
        form.append(choice("case", bundle.cases.map((each) => [texts(each.parameters), each]),
            bundle.cases.indexOf(shown), (each) => go({...here, ...keys(each.parameters)})));
    }
    const counted = index.commits.filter((each) => (each.environments[here.environment] || []).includes(here.benchmark));
    form.append(choice("commit", counted.toReversed().map((each) =>
        [`${each.hash.slice(0, index.digits)} ${each.subject}`.slice(0, 60), each]),
        counted.toReversed().indexOf(commit), (each) => go({...here, commit: each.hash})));
    if (environments.length > 1) {
        form.append(choice("environment", environments.map((each) => [each, each]),
            environments.indexOf(here.environment), (each) => go({...here, environment: each})));
    }
    for (const [kind, text] of [["c", "C functions"], ["python", "Python functions"]]) {
        if (shown.views.python) {
            const button = element("button", {type: "button", "aria-pressed": String(here.view === kind)}, text);
            button.addEventListener("click", () => go({...here, view: kind}));
            form.append(button);
        }
    }
    if (!shown.views.python) {
        form.append(element("span", {class: "dim"}, "by Python function: python -m harness explain --python, then publish"));
    }
    return form;
}

const EMPTY_BODY = "an empty body, called alike, is taken off";

function movedTable(view) {
    const {base, head, overhead, rows, left} = view.moved;
    if (!rows.length && !overhead) {
        return element("p", {}, "Nothing: every function executed what it did before.");
    }
    const row = (value, before, after, name, total) => ({total, cells: [
        [direction(value), element("span", {title: signed(value, exact)}, signed(value, readable))],
        [direction(value), change(value, base)],
        before === undefined ? ["", ""] : figure(before), after === undefined ? ["", ""] : figure(after), name]});
    return table("Instructions a call that functions executed themselves; the rows add up to the whole change",
        [["", "change"], ["", "of all"], ["", "before"], ["", "here"], ["name", "function"]], [
            ...rows.map(([name, before, after, line]) => row(after - before, before, after, view.named(name, line))),
            ...(left[0] ? [row(left[1], undefined, undefined, ["name", `${left[0]} more: the rest`])] : []),
            ...(overhead ? [row(-overhead, undefined, undefined, ["name", EMPTY_BODY])] : []),
            row(head - base, base, head, ["name", "in all"], true),
        ]);
}

// The last rows of a table whose first column adds up to the number.
function ending(view, left, width) {
    const blank = Array.from({length: width}, () => ["", ""]);
    const rows = [];
    if (left && left[0] > 0) {
        rows.push({cells: [figure(view.perCall(left[1])), ["", percent(view.share(left[1]))], ...blank,
            ["name", `${left[0]} more: the rest`]]});
    }
    if (view.data.overhead) {
        rows.push({cells: [["", `−${readable(view.perCall(view.data.overhead))}`], ["", ""], ...blank, ["name", EMPTY_BODY]]});
    }
    return [...rows, {total: true, cells: [figure(view.number), ["", ""], ...blank, ["name", "in all"]]}];
}

function sharesTable(view, what, figures) {
    return table("Instructions a call", [["", "own"], ["", ""], ["name", what]], [
        ...figures.map(([mark, name, own]) => ({cells: [
            figure(view.perCall(own)), ["", percent(view.share(own))], ["name", mark, name]]})),
        ...ending(view, undefined, 0)]);
}

function functionsTable(view) {
    const rows = view.data.functions.map(([name, own, inclusive, calls, line, under]) => {
        const [kind, ...named] = view.named(name, line);
        const native = under.map(([below, instructions]) => {
            const [text, place] = view.bundle.names[below];
            return element("div", {class: "under"}, `${readable(view.perCall(instructions))} in ${text} ${place}`);
        });
        return {cells: [figure(view.perCall(own)), ["", percent(view.share(own))], figure(view.perCall(inclusive)),
            ["", percent(view.share(inclusive))], figure(view.perCall(calls)), [kind, ...named, ...native]]};
    });
    return table("Instructions a call: a function's own, and with all that it called; and how often it was called",
        [["", "own"], ["", ""], ["", "inclusive"], ["", ""], ["", "calls"], ["name", "function"]],
        [...rows, ...ending(view, view.data["functions left"], 3)]);
}

function flameGraph(view, byChange) {
    const buttons = element("form", {});
    if (view.moved) {
        for (const [text, yes] of [["colour by part", false], ["colour by change", true]]) {
            const button = element("button", {type: "button", "aria-pressed": String(byChange === yes)}, text);
            button.addEventListener("click", () => {
                const asked = new URLSearchParams(location.hash.slice(1));
                asked.set("colour", yes ? "change" : "part");
                location.hash = asked;
            });
            buttons.append(button);
        }
    }
    const how = view.data.exact ? "Every path was seen." : "Paths are estimated from who called whom.";
    const colour = byChange ? "Warm: the path executes more than before; cold: less." : "Colours are parts.";
    const told = element("p", {id: "told", class: "dim"}, `${how} ${colour} Arrow keys walk, Enter zooms, Escape goes back.`);
    const {svg} = new Flame(view.data.flame, byChange, (words) => { told.textContent = words; });
    svg.setAttribute("role", "tree");
    svg.setAttribute("aria-label", "flame graph");
    return [element("h2", {}, "Flame graph "), buttons, svg, told];
}

window.addEventListener("hashchange", show);
show();
