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
                asked.set(key, String(values[0]).replace(/^'(.*)'$/, "$1"));
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

    // asv writes the marks of an axis as 1.30e+5.
    function relabel() {
        const main = $.asv.main_json;
        const benchmark = main && main.benchmarks && main.benchmarks[$.asv.parse_hash_string(window.location.hash).location[0]];
        if (benchmark && benchmark.unit === UNIT) {
            document.querySelectorAll("#main-graph .flot-y-axis .flot-tick-label").forEach(function (label) {
                if (/^-?[\d.]+(e[+-]?\d+)?$/.test(label.textContent)) {
                    const text = short(Number(label.textContent));
                    if (label.textContent !== text) {
                        label.textContent = text;
                    }
                }
            });
        }
    }
    new MutationObserver(relabel).observe(document.getElementById("main-graph"), {childList: true, subtree: true});

    $(window).on("hashchange", update);
    $(document).ajaxStop(update);
});
