// Tables inside <div class="sortable"> are sorted by a click on a heading, and the
// other way by the next one. Where any cell begins with a number, they are numbers, and
// what is none stays last, whichever way.
(function () {
  "use strict";

  var SCALE = { kB: 1e3, MB: 1e6, GB: 1e9 };

  function number(cell) {
    var found = /^([-+−]?[\d,]*\.?\d+)\s*(kB|MB|GB)?/.exec(cell.textContent.trim());
    if (!found) return NaN;
    var value = parseFloat(found[1].replace(/,/g, "").replace("−", "-"));
    return value * (SCALE[found[2]] || 1);
  }

  function sort(table, column, heading) {
    var down = heading.getAttribute("aria-sort") === "ascending";
    var body = table.tBodies[0];
    var rows = Array.from(body.rows);
    var cell = function (row) { return row.cells[column]; };
    var numeric = rows.some(function (row) { return !isNaN(number(cell(row))); });
    var known = function (row) {
      return numeric ? !isNaN(number(cell(row))) : cell(row).textContent.trim() !== "";
    };
    var filled = rows.filter(known);
    var empty = rows.filter(function (row) { return !known(row); });
    filled.sort(function (a, b) {
      var order = numeric
        ? number(cell(a)) - number(cell(b))
        : cell(a).textContent.trim().localeCompare(cell(b).textContent.trim());
      return down ? -order : order;
    });
    filled.concat(empty).forEach(function (row) { body.appendChild(row); });
    Array.from(table.tHead.rows[0].cells).forEach(function (other) {
      other.removeAttribute("aria-sort");
    });
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  function prepare() {
    document.querySelectorAll(".sortable table").forEach(function (table) {
      Array.from(table.tHead.rows[0].cells).forEach(function (heading, column) {
        var button = document.createElement("button");
        button.type = "button";
        button.append.apply(button, Array.from(heading.childNodes));
        button.addEventListener("click", function () { sort(table, column, heading); });
        heading.appendChild(button);
      });
    });
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", prepare);
  } else {
    prepare();
  }
})();
