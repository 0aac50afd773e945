"""The page at `/`: what the service does, for a person with a browser. It reads the API and changes nothing.

One file without anything from elsewhere. A token that is typed stays in the tab (`sessionStorage`), and is in
no address. Texts of users are set as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { font-weight: 600; font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #8884; }
th { font-weight: 500; opacity: .7; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.small { font-size: .85em; opacity: .8; overflow-wrap: anywhere; }
progress { width: 9rem; accent-color: #2a78d6; }
#said { min-height: 1.5em; opacity: .7; }
"""

_SCRIPT: Final = """
const find = id => document.getElementById(id);
let token = sessionStorage.getItem("rung-token") || "";
find("enter").addEventListener("submit", event => {
  event.preventDefault();
  token = find("token").value.trim();
  sessionStorage.setItem("rung-token", token);
  find("token").value = "";
  look();
});
async function get(path) {
  const headers = token ? {Authorization: "Bearer " + token} : {};
  const answer = await fetch("/api/v1" + path, {headers, cache: "no-store"});
  const body = await answer.json();
  find("enter").hidden = answer.status !== 401;
  if (!answer.ok) throw new Error(body.detail);
  return body;
}
function cell(row, value, kind) {
  const made = row.insertCell();
  if (kind) made.className = kind;
  if (value instanceof Node) made.append(value); else made.textContent = value ?? "";
}
function bar(value, max) {
  const made = document.createElement("progress");
  made.max = max; made.value = Math.min(value, max);
  made.title = value + " of " + max;
  return made;
}
const number = value => value === null ? "" : Number(value.toPrecision(6)).toString();
const settings = config => Object.entries(config).map(([name, value]) =>
  name + "=" + (typeof value === "number" ? number(value) : value)).join(" ");
function since(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes < 1 ? Math.round(seconds) + " s" : minutes < 60 ? minutes + " min" :
    Math.floor(minutes / 60) + " h " + minutes % 60 + " min";
}
async function look() {
  try {
    const studies = await get("/studies?limit=100"), workers = await get("/workers");
    const live = studies.items.filter(one => one.state !== "done").slice(0, 20);
    const more = await Promise.all(live.map(one =>
      get("/studies/" + encodeURIComponent(one.name)).catch(() => one)));
    const known = new Map(more.map(one => [one.name, one]));
    const rows = document.createElement("tbody");
    for (const each of studies.items) {
      const one = known.get(each.name) || each, row = rows.insertRow();
      cell(row, one.name); cell(row, one.owner); cell(row, one.state);
      const most = one.limits && one.limits.trials;
      cell(row, most && one.state !== "done" ? bar(one.trials, most) : "");
      cell(row, one.trials, "number"); cell(row, one.metric);
      cell(row, number(one.best), "number");
      cell(row, one.incumbent ? settings(one.incumbent.config) : "", "small");
      const share = one.state === "running" && one.share;
      cell(row, share ? share.slots + " of " + share.ideal.toFixed(1) : one.running || "", "number");
      cell(row, since(one.seconds), "number");
    }
    find("studies").tBodies[0].replaceWith(rows);
    const lent = document.createElement("tbody");
    for (const one of workers.items) {
      const row = lent.insertRow();
      cell(row, one.name); cell(row, bar(one.busy, one.slots));
      cell(row, one.busy + " of " + one.slots, "number");
    }
    find("workers").tBodies[0].replaceWith(lent);
    find("said").textContent = (studies.next ? "the newest 100 studies, " : "") + "as of " +
      new Date().toLocaleTimeString();
  } catch (error) {
    const strange = !find("enter").hidden && !token;
    find("said").textContent = strange ? "type a token to see the studies" : error.message;
  }
}
look();
setInterval(() => { if (!document.hidden) look(); }, 5000);
"""

_PAGE: Final = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>rung</title><meta name="viewport" content="width=device-width">
<style>{_STYLE}</style></head>
<body>
<h1>rung</h1>
<form id="enter" hidden><label>Token <input id="token" type="password" autocomplete="off"></label>
<button>Show</button></form>
<p id="said">Looking...</p>
<h2>Studies</h2>
<table id="studies"><thead><tr><th>Name<th>Owner<th>State<th>Trials<th class="number"><th>Metric
<th class="number">Best<th>by<th class="number">Slots, of its share
<th class="number">Time</tr></thead><tbody></tbody></table>
<h2>Workers</h2>
<table id="workers"><thead><tr><th>Name<th>Busy<th class="number">Slots</tr></thead><tbody></tbody></table>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_POLICY: Final = (
    f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/", response_class=HTMLResponse)
async def page() -> HTMLResponse:
    """The page; what it shows is asked of the API, with a token."""
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
    return HTMLResponse(_PAGE, headers=headers)
