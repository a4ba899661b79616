// Text as it must stand in HTML to be shown as that text. asv's own scripts use it; see page_scripts.py.
"use strict";

const escaped = (text) => String(text).replace(/[&<>"'`]/g, (letter) => `&#${letter.charCodeAt(0)};`);
