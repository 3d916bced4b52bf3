/**
 * The graph: drawn, and as a list for whoever does not see the drawing. A node is called by its property `path`, `name` or `title`,
 * and coloured and labelled by its property `status`, where it has them.
 */
import type { GraphEdge, GraphNode } from "holdfast";
import { el, keyed, say, svg } from "./dom";
import { COLUMN_GAP, type Layout, layOut, NODE_HEIGHT, NODE_WIDTH, type Place } from "./layout";
import type { Graph, Source } from "./questions";
import { plural, shortText } from "./text";
import { summary, type View } from "./view";

const NODES_SHOWN = 120;
const NAME_CHARS = 21;
const NAMES = ["path", "name", "title"];

function nameOf({ id, labels, properties }: GraphNode): string {
  const name = NAMES.map((each) => properties[each]).find((value) => typeof value === "string");
  return typeof name === "string" ? name : `${labels.join(", ")} ${id}`;
}

function statusOf({ labels, properties }: GraphNode): string {
  const status = properties["status"];
  return typeof status === "string" ? status : labels.join(", ");
}

/** How far a line that finds no free row is bent around the nodes between. */
const DETOUR = 36;

/** From the right side of a node to the left side of another; past nodes in a row that is free between the two, if one is. */
function curve(from: Place, to: Place, { places }: Layout): string {
  const [x1, y1, x2, y2] = [from.x + NODE_WIDTH, from.y + NODE_HEIGHT / 2, to.x - 4, to.y + NODE_HEIGHT / 2];
  const isFree = (row: number) => ![...places.values()].some(({ x, y }) => y === row && x > from.x && x < to.x);
  const half = COLUMN_GAP / 2;
  if (isFree(from.y)) {
    const x = x2 + 4 - COLUMN_GAP;
    return `M${x1} ${y1}H${x}C${x + half} ${y1} ${x + half} ${y2} ${x2} ${y2}`;
  }
  if (isFree(to.y)) {
    const x = x1 + COLUMN_GAP;
    return `M${x1} ${y1}C${x1 + half} ${y1} ${x1 + half} ${y2} ${x} ${y2}H${x2}`;
  }
  const bend = Math.max(half, (x2 - x1) / 2);
  return `M${x1} ${y1}C${x1 + bend} ${y1 - DETOUR} ${x2 - bend} ${y2 - DETOUR} ${x2} ${y2}`;
}

function drawEdge({ source, target }: GraphEdge, layout: Layout): SVGElement[] {
  const [from, to] = [layout.places.get(source), layout.places.get(target)];
  return from === undefined || to === undefined
    ? []
    : [svg("path", { d: curve(from, to, layout), class: "hi-edge", "marker-end": "url(#hi-arrow)" })];
}

function drawNode(node: GraphNode, { places }: Layout): SVGElement[] {
  const place = places.get(node.id);
  if (place === undefined) return [];
  const status = statusOf(node);
  const name = nameOf(node);
  const shown = name.length > NAME_CHARS ? `…${name.slice(1 - NAME_CHARS)}` : name;
  return [
    svg(
      "g",
      { class: `hi-node hi-status-${status.replace(/\W/g, "-")}`, transform: `translate(${place.x} ${place.y})` },
      svg("rect", { width: NODE_WIDTH, height: NODE_HEIGHT, rx: 9 }),
      svg("text", { x: 11, y: 17, class: "hi-node-name" }, shown),
      svg("text", { x: 11, y: 31, class: "hi-node-status" }, status),
    ),
  ];
}

function draw(graph: Graph): SVGElement {
  const layout = layOut(graph);
  const { width, height } = layout;
  const arrow = svg(
    "marker",
    { id: "hi-arrow", viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 6, markerHeight: 6, orient: "auto" },
    svg("path", { d: "M0 0L8 4L0 8z", class: "hi-arrow" }),
  );
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" },
    svg("defs", {}, arrow),
    ...graph.edges.flatMap((edge) => drawEdge(edge, layout)),
    ...graph.nodes.flatMap((node) => drawNode(node, layout)),
  );
}

export class GraphView implements View {
  readonly id = "graph";
  readonly title = "Graph";
  readonly panel: HTMLElement;
  readonly #summary = summary();
  readonly #drawing = el("div", {
    class: "hi-drawing",
    role: "group",
    "aria-label": "The graph, drawn",
    tabindex: "0",
  });
  readonly #list = el("ul", { class: "hi-list" });
  #drawn = "";

  constructor() {
    const list = el("details", {}, el("summary", {}, "As a list"), this.#list);
    this.panel = el("section", {}, this.#summary, this.#drawing, list);
  }

  async show(source: Source, at: number | undefined): Promise<void> {
    const graph = await source.ask("graph", { at, limit: NODES_SHOWN });
    const { nodes, edges, nodeCount, edgeCount } = graph;
    const left = nodeCount > nodes.length ? ` The first ${nodes.length} nodes are drawn.` : "";
    say(
      this.#summary,
      nodeCount === 0
        ? "No nodes yet."
        : `${plural(nodeCount, "node")} and ${plural(edgeCount, "edge")}. An arrow leads from a node to what it is linked to.${left}`,
    );
    const drawn = JSON.stringify([
      nodes.map((node) => [node.id, nameOf(node), statusOf(node)]),
      edges.map(({ id }) => id),
    ]);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#drawing.replaceChildren(draw(graph));
    }
    const named = new Map(nodes.map((node) => [node.id, nameOf(node)]));
    keyed(
      this.#list,
      nodes,
      ({ id }) => String(id),
      () => el("li"),
      (item, node) => {
        const out = edges.filter((edge) => edge.source === node.id);
        const links = out.map(({ type, target }) => `${type} ${named.get(target) ?? target}`).join(", ");
        say(item, shortText(`${nameOf(node)} (${statusOf(node)})${links === "" ? "" : `: ${links}`}`, 400));
      },
    );
  }
}
