// Elements of a page, made of names and text; shared by the overview and the reasons. Text is only ever set as text.
"use strict";

const SVG = ["circle", "g", "polyline", "rect", "svg", "text", "title"];

// An element with these attributes and children. `style` goes through the style object, which a strict page allows.
function element(tag, attributes = {}, ...children) {
    const made = SVG.includes(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name === "style") {
            made.style.cssText = value;
        } else if (value !== undefined && value !== false) {
            made.setAttribute(name, value === true ? "" : value);
        }
    }
    made.append(...children.filter((child) => child !== undefined && child !== null));
    return made;
}
