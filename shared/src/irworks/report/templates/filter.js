(function () {
  var form = document.getElementById("filter");
  var marked = document.querySelectorAll("tr[data-package], article[data-package], section[data-package]");
  function apply() {
    var wanted = Object.fromEntries(new FormData(form));
    marked.forEach(function (element) {
      element.hidden = Object.keys(wanted).some(function (name) {
        return wanted[name] && element.dataset[name] !== undefined && element.dataset[name] !== wanted[name];
      });
    });
    document.querySelectorAll("section[data-package]").forEach(function (section) {
      section.hidden = section.hidden || !section.querySelector("article:not([hidden])");
    });
  }
  form.hidden = false;
  form.addEventListener("change", apply);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  apply();
})();
