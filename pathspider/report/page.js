// Tables that can be sorted; without this script they stand in the order in which they were written.
document.querySelectorAll("table.sortable").forEach(function (table) {
  var heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach(function (head, column) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.appendChild(button);
    button.addEventListener("click", function () {
      var rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      var body = table.tBodies[0];
      var value = function (row) {
        var cell = row.cells[column];
        return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
      };
      Array.from(body.rows).sort(function (one, other) {
        var a = value(one), b = value(other);
        var order = typeof a === "number" && typeof b === "number" ? a - b
          : String(a).localeCompare(String(b), "en", { numeric: true });
        return rising ? order : -order;
      }).forEach(function (row) { body.appendChild(row); });
    });
  });
});
// Paper shows everything but what is folded within what is folded; afterwards the page is as it was.
var opened = [];
window.addEventListener("beforeprint", function () {
  opened = opened.concat(Array.from(document.querySelectorAll("details:not([open]):not(details details)")));
  opened.forEach(function (one) { one.open = true; });
});
window.addEventListener("afterprint", function () {
  opened.forEach(function (one) { one.open = false; });
  opened = [];
});
