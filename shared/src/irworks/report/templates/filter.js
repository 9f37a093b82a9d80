(function () {
  var form = document.getElementById("filter");
  var rows = document.querySelectorAll("tr[data-package]");
  var marked = document.querySelectorAll("tr[data-package], article[data-package], section[data-package]");

  // The choice stands in the address, so that it can be sent to someone.
  function apply(write) {
    var wanted = Object.fromEntries(new FormData(form));
    marked.forEach(function (element) {
      element.hidden = Object.keys(wanted).some(function (name) {
        return wanted[name] && element.dataset[name] !== undefined && element.dataset[name] !== wanted[name];
      });
    });
    document.querySelectorAll("section[data-package]").forEach(function (section) {
      section.hidden = section.hidden || !section.querySelector("article:not([hidden])");
    });
    var shown = Array.from(rows).filter(function (row) { return !row.hidden; }).length;
    form.querySelector("output").textContent = shown === rows.length ? "" : shown + " of " + rows.length + " claims";
    if (!write) return;
    var query = new URLSearchParams();
    Object.keys(wanted).forEach(function (name) { if (wanted[name]) query.set(name, wanted[name]); });
    var text = query.toString();
    try { history.replaceState(null, "", (text ? "?" + text : location.pathname) + location.hash); } catch (error) { /* a page opened from a sandbox has no history */ }
  }

  function choose(query) {
    Array.from(form.elements).forEach(function (field) {
      if (!field.name) return;
      field.value = query.get(field.name) || "";
      if (field.selectedIndex < 0) field.value = "";
    });
  }

  // A link to a claim shows it, whatever the filter hides.
  function reveal() {
    var target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest("[hidden]")) {
      choose(new URLSearchParams());
      apply(true);
      target.scrollIntoView();
    }
  }

  document.querySelectorAll("ul.tally a").forEach(function (link) {
    link.addEventListener("click", function (event) {
      event.preventDefault();
      choose(new URLSearchParams(link.search));
      apply(true);
    });
  });

  if (navigator.clipboard) {
    document.querySelectorAll("code.command").forEach(function (code) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = "copy";
      button.setAttribute("aria-label", "Copy the command " + code.textContent);
      button.addEventListener("click", function () {
        navigator.clipboard.writeText(code.textContent).then(function () {
          button.textContent = "copied";
          setTimeout(function () { button.textContent = "copy"; }, 1500);
        });
      });
      code.after(button);
    });
  }

  // On paper nothing can be unfolded.
  var folded = [];
  window.addEventListener("beforeprint", function () {
    folded = Array.from(document.querySelectorAll("details:not([open])"));
    folded.forEach(function (details) { details.open = true; });
  });
  window.addEventListener("afterprint", function () {
    folded.forEach(function (details) { details.open = false; });
  });

  form.hidden = false;
  form.addEventListener("change", function () { apply(true); });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  window.addEventListener("hashchange", reveal);
  choose(new URLSearchParams(location.search));
  apply(false);
  reveal();
})();
