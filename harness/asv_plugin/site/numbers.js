// Numbers as people read them, on asv's pages and on ours: 1.99 G.
"use strict";

const SIZES = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

function readable(value, digits = 3) {
    const found = SIZES.find(([size]) => Math.abs(value) >= size);
    return found ? `${(value / found[0]).toPrecision(digits)} ${found[1]}` : String(+value.toFixed(2));
}
