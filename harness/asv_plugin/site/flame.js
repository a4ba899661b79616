// A flame graph to walk and to zoom. profile/flame.py has drawn it: boxes in the order of calls, callers before what they
// called, placed in per cent of the width. Here boxes only move.
"use strict";

const ROW = 18; // their height in the drawing
const LEGIBLE = 26; // pixels; in a narrower box no letter can be read

class Flame {
    // `tell` is called with the words of a box that is pointed at or walked to.
    constructor(text, byChange, tell) {
        const drawn = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
        this.svg = document.importNode(drawn, true);
        this.svg.classList.toggle("by-change", byChange);
        this.boxes = [...this.svg.querySelectorAll("g")].map((group) => new Box(group));
        this.first = []; // the uppermost boxes
        const path = [];
        for (const box of this.boxes) {
            path.length = box.level;
            box.caller = path.at(-1);
            box.beside = box.caller ? box.caller.below : this.first;
            box.beside.push(box);
            path.push(box);
        }
        this.before = []; // what was zoomed to, to go back to
        this.zoom(undefined);
        const at = (event) => this.boxes.find((box) => box.group === event.target.closest("g"));
        const told = (event) => { const box = at(event); if (box) { tell(box.words); } };
        this.svg.addEventListener("mouseover", told);
        this.svg.addEventListener("focusin", told);
        this.svg.addEventListener("click", (event) => this.enter(at(event)));
        this.svg.addEventListener("keydown", (event) => this.key(event, at(event)));
        const observer = new ResizeObserver(() => (this.svg.isConnected ? this.fit() : observer.disconnect()));
        observer.observe(document.getElementById("main"));
    }

    enter(box) {
        if (box && box !== this.top) {
            this.before.push(this.top);
            this.zoom(box);
            box.group.focus();
        }
    }

    // Show a box and all below it as wide as the graph, and its callers above it; undefined: everything.
    zoom(top) {
        this.top = top;
        const above = [];
        for (let box = top?.caller; box; box = box.caller) {
            above.push(box);
        }
        const shown = this.boxes.filter((box) => top === undefined || above.includes(box) || box.isUnder(top));
        for (const box of shown) {
            const [left, width] = above.includes(box) ? [0, 100] : [box.left - (top?.left ?? 0), box.width];
            const scale = above.includes(box) ? 1 : 100 / (top?.width ?? 100);
            box.place.setAttribute("x", `${left * scale}%`);
            box.place.setAttribute("width", `${width * scale}%`);
            box.group.setAttribute("tabindex", box === shown[0] ? "0" : "-1");
        }
        this.svg.setAttribute("height", ROW * (1 + Math.max(0, ...shown.map((box) => box.level))));
        this.svg.replaceChildren(...shown.map((box) => box.group));
        this.fit();
    }

    fit() {
        const wide = this.svg.clientWidth;
        this.boxes.forEach((box) => box.group.classList.toggle("narrow", wide * parseFloat(box.place.getAttribute("width")) < 100 * LEGIBLE));
    }

    key(event, box) {
        const aside = (by) => box.beside[box.beside.indexOf(box) + by];
        const steps = {ArrowDown: () => box.below[0], ArrowUp: () => box.caller, ArrowRight: () => aside(1), ArrowLeft: () => aside(-1)};
        if (!box) {
            return;
        } else if (event.key in steps) {
            steps[event.key]()?.group.focus();
        } else if (event.key === "Enter" || event.key === " ") {
            this.enter(box);
        } else if (event.key === "Escape") {
            this.zoom(this.before.pop());
            (this.top ?? this.first[0]).group.focus();
        } else {
            return;
        }
        event.preventDefault();
    }
}

class Box {
    constructor(group) {
        this.group = group;
        this.place = group.querySelector("svg");
        [this.left, this.width] = ["x", "width"].map((name) => parseFloat(this.place.getAttribute(name)));
        this.level = this.place.getAttribute("y") / ROW;
        this.words = group.querySelector("title").textContent.replaceAll("\n", ", ");
        this.below = [];
        group.setAttribute("role", "treeitem");
    }

    isUnder(other) {
        return this === other || (this.caller !== undefined && this.caller.isUnder(other));
    }
}
