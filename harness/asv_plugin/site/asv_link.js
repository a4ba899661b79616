// On asv's pages: lead from a benchmark's graph to its reasons, and write numbers of instructions as people read them.
"use strict";
$(function () { // after asv's own, which makes $.asv
    const UNIT = "instructions";
    const HEADLINE = /\.track_\w+$/;

    // A digit more than elsewhere, since asv's tables show small steps; none that says nothing.
    const short = (value) => readable(value, 4).replace(/(\.\d*?)0+ /, "$1 ").replace(". ", " ");

    const pretty = $.asv.pretty_unit;
    $.asv.pretty_unit = function (value, unit) {
        return unit === UNIT ? short(value) : pretty(value, unit);
    };

    // Where the reasons of the benchmark are that asv shows now, with the parameters that are chosen; "" elsewhere.
    function place() {
        const shown = $.asv.parse_hash_string(window.location.hash);
        const name = shown.location[0];
        if (!$.asv.main_json || !$.asv.main_json.benchmarks || !$.asv.main_json.benchmarks[name]) {
            return "";
        }
        const asked = new URLSearchParams({benchmark: name.replace(HEADLINE, "")});
        Object.entries(shown.params).forEach(function ([key, values]) {
            if (key.startsWith("p-") && values.length === 1) {
                asked.set(key, String(values[0]));
            }
        });
        return "reasons.html#" + asked;
    }

    function update() {
        const target = place();
        let link = document.getElementById("reasons-link");
        if (!link) {
            link = document.createElement("a");
            link.id = "reasons-link";
            link.className = "btn btn-default btn-block";
            link.textContent = "where its instructions go";
            document.getElementById("graphdisplay-navigation").prepend(link);
        }
        link.hidden = !target;
        link.href = target;
        // A click on a point opens this address, the commit's hash added.
        const main = $.asv.main_json;
        if (main && /^reasons\.html#/.test(main.show_commit_url)) {
            main.show_commit_url = (target ? target + "&" : "reasons.html#") + "commit=";
        }
    }

    const benchmark = function () {
        const main = $.asv.main_json;
        const name = $.asv.parse_hash_string(window.location.hash).location[0];
        const found = main && main.benchmarks && main.benchmarks[name];
        return found && found.unit === UNIT ? found : null;
    };

    // asv writes the marks of an axis with three digits, as 5.30e+4, which for small steps are the same for all of them.
    function labels(values) {
        for (let digits = 3; digits <= 12; digits++) {
            const texts = values.map((value) => readable(value, digits).replace(/(\.\d*?)0+( |$)/, "$1$2").replace(/\.( |$)/, "$1"));
            if (new Set(texts).size === new Set(values).size) {
                return texts;
            }
        }
        return values.map(String);
    }

    // The graph's own drawing, with labels that differ and the noise as a band around each line's newest count.
    const plot = $.plot;
    $.plot = function (place, series, options) {
        const shown = $(place).attr("id") === "main-graph" ? benchmark() : null;
        const linear = options && options.yaxis && !options.yaxis.transform;
        if (shown && linear) {
            options.yaxis.tickFormatter = function (value, axis) {
                const values = [];
                for (let at = Math.ceil(axis.min / axis.tickSize); at * axis.tickSize <= axis.max; at++) {
                    values.push(at * axis.tickSize);
                }
                const nearest = values.findIndex((other) => Math.abs(other - value) < axis.tickSize / 2);
                return nearest < 0 ? short(value) : labels(values)[nearest];
            };
        }
        if (shown && shown.noise && linear) {
            const newest = series.flatMap((line) => (line.data || []).filter((point) => point[1] !== null).slice(-1));
            const bands = newest.map((point) => ({from: point[1] * (1 - shown.noise), to: point[1] * (1 + shown.noise)}));
            options.grid.markings = bands.map((band) => ({color: "rgba(70, 130, 180, .16)", yaxis: band}));
            // The band is to be seen whole: a line that stays inside of it has not moved.
            const given = (value, other) => (typeof value === "number" ? value : other);
            options.yaxis.min = Math.min(given(options.yaxis.min, Infinity), ...bands.map((band) => band.from - (band.to - band.from) / 4));
            options.yaxis.max = Math.max(given(options.yaxis.max, -Infinity), ...bands.map((band) => band.to + (band.to - band.from) / 4));
        }
        return plot.apply(this, arguments);
    };
    Object.assign($.plot, plot);

    $(window).on("hashchange", update);
    $(document).ajaxStop(update);
});
