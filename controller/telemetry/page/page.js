"use strict";
// Draws /status. Everything shown comes from outside, so text is only ever set as text.

const REFRESH_MS = 3000;
const BAD_WHEN = { Stalled: "True" }; // every other condition is well when it is True
const drawn = new Map(); // section -> what it shows now
let failedSince = null;

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) node.append(child);
  }
  return node;
}

const byId = (id) => document.getElementById(id);
const pill = (kind, text) => make("span", { class: `pill ${kind}` }, text);
const list = (value) => (Array.isArray(value) ? value : []);
const nameOf = (resource) => resource.slice(resource.indexOf("/") + 1);
const kindOf = (resource) => resource.slice(0, resource.indexOf("/"));

function lasting(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} days`;
}

function when(at, words = (age) => `${age} ago`) {
  if (typeof at !== "number") return "";
  const date = new Date(at * 1000);
  const node = make("time", { datetime: date.toISOString(), title: date.toISOString() });
  node.tell = () => { node.textContent = words(lasting(Date.now() / 1000 - at)); };
  node.tell();
  return node;
}

function kindOfCondition(condition) {
  if (condition.status === "Unknown") return "unknown";
  return (condition.status === "True") === (BAD_WHEN[condition.type] !== "True") ? "good" : "bad";
}

function kindOfResource(resource) {
  if (resource.decision === "Stall") return "bad";
  const conditions = list(resource.conditions);
  if (conditions.some((c) => ["Healthy", "Ready"].includes(c.type) && c.status === "False")) return "bad";
  if (resource.decision === "Wait" || resource.decision === "Act") return "wait";
  if (conditions.some((c) => c.status === "Unknown")) return "unknown";
  return conditions.every((c) => kindOfCondition(c) === "good") ? "good" : "wait";
}

// "✓ Stalled" would read as the opposite of what it means.
const nameOfCondition = (condition) => (condition.type in BAD_WHEN && condition.status === "False" ? `Not ${condition.type.toLowerCase()}` : condition.type);

const WORDS = { good: "well", bad: "needs a look", wait: "waits", unknown: "not seen" };

function diffOf(resource) {
  const lines = list(resource.diff);
  return lines.length ? make("pre", { "aria-label": "difference" }, lines.join("\n")) : null;
}

function conditionItem(condition) {
  return make("li", {},
    make("div", { class: "top" }, pill(kindOfCondition(condition), nameOfCondition(condition)), make("span", { class: "quiet" }, when(condition.since, (age) => `for ${age}`))),
    make("p", {}, make("strong", {}, condition.reason), condition.message ? `: ${condition.message}` : ""));
}

function trendOf(name, points) {
  if (points.length < 2) return null;
  const most = Math.max(...points, 1);
  const at = points.map((value, i) => `${(i / (points.length - 1) * 118 + 1).toFixed(1)},${(23 - value / most * 21).toFixed(1)}`);
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "polyline");
  picture.setAttribute("class", "trend");
  picture.setAttribute("viewBox", "0 0 120 24");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `lag of ${name}: ${lasting(points[0])} before, ${lasting(points.at(-1))} now, at most ${lasting(most)}`);
  for (const [key, value] of Object.entries({ points: at.join(" "), fill: "none", stroke: "currentColor", "stroke-width": "1.8" })) line.setAttribute(key, value);
  picture.append(line);
  return picture;
}

function figure(term, ...values) {
  return make("div", {}, make("dt", {}, term), make("dd", {}, ...values));
}

function figuresOf(resource) {
  const found = [];
  const lag = resource.lag;
  if (lag && typeof lag.seconds === "number") found.push(figure("Lag", lasting(lag.seconds)), trendOf(nameOf(resource.resource), [...list(lag.trend), lag.seconds]));
  else if (lag && lag.message) found.push(figure("Lag", `not seen: ${lag.message}`));
  const restarts = resource.restarts;
  if (restarts) found.push(figure("Restarts", restarts.message || String(restarts.count)));
  return found.length ? make("dl", { class: "figures" }, ...found) : null;
}

function clues(one) {
  const found = list(one.codes).length ? list(one.codes) : list(one.classes);
  return one.failure === "unknown" && found.length ? ` (${found.join(", ")})` : "";
}

function evidenceOf(resource) {
  return list(resource.evidence).map((one) => make("p", {},
    make("strong", {}, `Worker's log: ${one.failure}${clues(one)}`), ` ${one.count} ×, `, when(one.last, (age) => `last ${age} ago`), one.message ? `. ${one.message}` : ""));
}

function connector(resource) {
  const kind = kindOfResource(resource);
  return make("article", {},
    make("div", { class: "head" }, make("h3", {}, nameOf(resource.resource)), pill(kind, WORDS[kind])),
    resource.decision === "Converged" ? null : make("p", {}, make("strong", {}, resource.reason), `: ${resource.message}`),
    diffOf(resource),
    make("ul", { class: "conditions" }, list(resource.conditions).map(conditionItem)),
    figuresOf(resource), evidenceOf(resource));
}

function table(caption, heads, rows) {
  const body = rows.map((cells) => make("tr", {}, cells.map((cell, i) => make("td", { "data-label": heads[i] }, make("span", {}, cell)))));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    make("table", {}, make("caption", {}, caption),
      make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))), make("tbody", {}, body)));
}

function headed(title, aside, ...content) {
  return [make("div", { class: "head" }, make("h2", {}, title), make("span", { class: "quiet" }, aside)), ...content];
}

function stepRow(resource) {
  const kind = kindOfResource(resource);
  const said = resource.decision === "Converged" ? resource.message : `${resource.reason}: ${resource.message}`;
  return [make("span", { class: "mono" }, nameOf(resource.resource)), pill(kind, WORDS[kind]), [said, diffOf(resource)].filter(Boolean)];
}

function spread(rows) {
  return rows.map((cells) => cells.map((cell) => (Array.isArray(cell) ? make("div", {}, ...cell) : cell)));
}

function drawAttention(resources) {
  const troubled = resources.filter((one) => kindOfResource(one) === "bad");
  byId("attention").hidden = troubled.length === 0;
  return headed("What needs a person", `${troubled.length} of ${resources.length} resources`,
    ...troubled.map((one) => {
      const worst = list(one.conditions).find((c) => kindOfCondition(c) === "bad");
      const because = one.decision === "Stall" || !worst ? one : worst;
      return make("article", {},
        make("div", { class: "head" }, make("h3", {}, one.resource), pill("bad", because.reason)),
        make("p", {}, because.message || "", " ", because.since ? when(because.since, (age) => `(for ${age})`) : ""));
    }));
}

function versionsOf(secret) {
  const used = list(secret.versions);
  if (!Array.isArray(secret.versions)) return secret.version ? `newest ${secret.version}; in use: not seen` : "";
  if (!secret.version || used.includes(secret.version)) return used.join(", ");
  return `${used.join(", ") || "none"}; newest ${secret.version} is not in use`;
}

function drawSecrets(status, resources) {
  const secrets = Object.entries(status.secrets || {}).map(([name, secret]) => [
    make("span", { class: "mono" }, name), make("span", { class: "mono" }, secret.path || "not seen"),
    secret.fallback ? pill("wait", "fallback") : "own", make("span", { class: "mono" }, versionsOf(secret)),
  ]);
  const steps = resources.filter((one) => ["secret", "worker", "login"].includes(kindOf(one.resource)));
  return headed("Secrets and logins", "paths and versions only, never a value",
    secrets.length ? table("Secrets in use", ["Secret", "Path", "From", "Version"], secrets) : make("p", { class: "quiet" }, "none is read"),
    steps.length ? table("Their delivery to the worker", ["What", "State", "Why"], spread(steps.map((one) => { const row = stepRow(one); row[0] = make("span", { class: "mono" }, one.resource); return row; }))) : null);
}

function drawHistory(status) {
  const rows = list(status.history).slice().reverse();
  byId("history").hidden = rows.length === 0;
  return headed("Last actions", "newest first; all of it: wmsctl history",
    table("Last actions", ["When", "What", "Resource", "Who", "Why", "Outcome"], rows.map((one) => [
      when(one.at), one.action || "", make("span", { class: "mono" }, one.resource || ""), one.who || "", [one.reason, one.why].filter(Boolean).join(": "), one.outcome || ""])));
}

function drawNotes(status) {
  const notes = [
    ...list(status.faults).map((one) => [pill("bad", one.system), `${one.reason}: ${one.message}`]),
    ...list(status.containers).filter((one) => one.trouble).map((one) => [pill("wait", "container"), `${one.name}: ${one.trouble}`]),
    ...list(status.workerEvidence).map((one) => [pill("wait", "worker"), `${one.failure}, ${one.count} ×: ${one.message}`]),
    ...list(status.warnings).map((one) => [pill("wait", "warning"), one]),
    ...list(status.orphans).map((one) => [pill("wait", "orphan"), `${one} is ours and no manifest declares it; it is left as it is`]),
  ];
  byId("notes").hidden = notes.length === 0;
  return headed("Warnings and faults", String(notes.length), table("Warnings and faults", ["Kind", "What"], notes));
}

function drawBanners(status) {
  const found = [];
  const tell = (kind, title, text, since) => found.push(make("div", { class: `banner ${kind}`, role: "note" }, make("strong", {}, title), make("span", {}, text, since ? when(since, (age) => ` (for ${age})`) : "")));
  if (status.refused) tell("bad", "Refused: nothing is done", status.refused);
  if (status.refusedRevision) tell("bad", "The newest manifests are refused; the last good ones stay in force", status.refusedRevision.message, status.refusedRevision.since);
  for (const one of list(status.notActing)) {
    if (one.reason !== "StaleRevision" && one.reason !== "Stalled") tell("wait", `Not acting: ${one.reason}${one.resource ? ` (${one.resource})` : ""}`, one.message || "", one.since);
  }
  return found;
}

function verdictOf(status, resources) {
  if (status.refused) return ["bad", "refused"];
  if (!status.cycle) return ["unknown", "no cycle yet"];
  const troubled = resources.filter((one) => kindOfResource(one) === "bad").length;
  if (troubled) return ["bad", troubled === 1 ? "1 resource needs a look" : `${troubled} resources need a look`];
  if (!status.complete) return ["unknown", "not everything was seen"];
  return status.converged ? ["good", "in sync"] : ["wait", "working on it"];
}

function replace(id, data, draw) {
  const key = JSON.stringify(data);
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  byId(id).replaceChildren(...draw().filter((child) => child !== null));
}

function setVerdict(kind, text) {
  const node = byId("verdict");
  if (node.textContent === text && node.className === `pill ${kind}`) return;
  node.className = `pill ${kind}`;
  node.textContent = text;
}

function draw(status) {
  const resources = list(status.resources);
  const connectors = resources.filter((one) => kindOf(one.resource) === "connector");
  const topics = resources.filter((one) => kindOf(one.resource) === "topic");
  const revision = status.revision || {};
  byId("stage").textContent = status.stage || "wms-connector";
  document.title = `${verdictOf(status, resources)[1]} – ${status.stage || "wms-connector"}`;
  setVerdict(...verdictOf(status, resources));
  replace("facts", [status.cycle, status.at, revision], () => [
    figure("Observed", when(status.at)), figure("Cycle", String(status.cycle ?? "none")),
    figure("Revision", make("span", { class: "mono" }, revision.id || "none"), revision.commit ? make("span", { class: "mono quiet" }, ` ${String(revision.commit).slice(0, 10)}`) : ""),
  ]);
  replace("banners", [status.refused, status.refusedRevision, status.notActing], () => drawBanners(status));
  replace("attention", resources, () => drawAttention(resources));
  replace("connectors", connectors, () => headed("Connectors", String(connectors.length), ...(connectors.length ? connectors.map(connector) : [make("p", { class: "quiet" }, "none is declared")])));
  replace("topics", topics, () => headed("Topics", `${topics.filter((one) => one.decision === "Converged").length} of ${topics.length} as declared`, table("Topics", ["Topic", "State", "Why"], spread(topics.map(stepRow)))));
  replace("own", [status.secrets, resources.filter((one) => !["topic", "connector"].includes(kindOf(one.resource)))], () => drawSecrets(status, resources));
  replace("history", status.history, () => drawHistory(status));
  replace("notes", [status.faults, status.containers, status.workerEvidence, status.warnings, status.orphans], () => drawNotes(status));
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    draw(await answer.json());
    failedSince = null;
  } catch {
    failedSince = failedSince || Date.now();
    setVerdict("bad", `the controller does not answer (${lasting((Date.now() - failedSince) / 1000)}); what is shown is old`);
  }
}

document.addEventListener("visibilitychange", refresh);
setInterval(refresh, REFRESH_MS);
setInterval(() => document.querySelectorAll("time").forEach((node) => node.tell && node.tell()), 1000);
refresh();
