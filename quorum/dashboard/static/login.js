"use strict";
// The token behind # of an address is never sent with a request: it goes into the form.
const root = document.documentElement;
let chosen = null;
try { chosen = localStorage.getItem("quorum-theme"); } catch { /* not remembered */ }
root.dataset.theme = chosen || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
if (location.hash.length > 8) {
  document.getElementById("token").value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("login").submit();
}
