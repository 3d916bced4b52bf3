// The passes over a graph: the same loops for each subject, over the few functions that it gives.
//
// Keeps true: it is imported anew for each subject, with a query, so that no call site is shared.

export function passesOver(graph) {
  return {
    getPass({ ids, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += graph.node(ids[i]).properties.path.length;
      return total;
    },
    neighborsPass({ ids, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += graph.neighbors(ids[i]).length;
      return total;
    },
    twoStepsPass({ ids, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += graph.twoSteps(ids[i]).length;
      return total;
    },
    reachedPass({ ids, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += graph.reached(ids[i]).length;
      return total;
    },
    findPass({ paths, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += graph.find(paths[i])[0].properties.path.length;
      return total;
    },
  };
}
