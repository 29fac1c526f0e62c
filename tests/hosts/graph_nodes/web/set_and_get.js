// Setters and getters of a name, as packs add them to the page: virtual nodes, which the frontend dissolves.
import { app } from '../../scripts/app.js'

const { LiteGraph, LGraphNode } = window

const named = (graph, name) => graph.nodes.find(node => node.type === 'SetNode' && node.widgets[0].value === name)

/** The graph of the node that stands for a subgraph; nothing for the outermost graph. */
function around(graph) {
  const root = graph.rootGraph ?? graph
  const all = [root, ...(root.subgraphs?.values() ?? [])]
  return all.find(other => other !== graph && other.nodes.some(node => node.subgraph === graph))
}

class SetNode extends LGraphNode {
  constructor(title) {
    super(title)
    this.isVirtualNode = true
    this.serialize_widgets = true
    this.addWidget('text', 'Name', '', () => {})
    this.addInput('*', '*')
    this.addOutput('*', '*')
  }
}

class GetNode extends LGraphNode {
  constructor(title) {
    super(title)
    this.isVirtualNode = true
    this.serialize_widgets = true
    this.addWidget('text', 'Name', '', () => {})
    this.addOutput('*', '*')
  }

  getInputLink(slot) {
    const link = named(this.graph, this.widgets[0].value)?.inputs[slot]?.link
    return link == null ? null : this.graph.getLink(link)
  }

  // Newer frontends ask this first; what is set on this graph itself is for getInputLink.
  resolveVirtualOutput(slot) {
    for (let graph = this.graph; graph; graph = around(graph)) {
      const setter = named(graph, this.widgets[0].value)
      if (!setter) continue
      const link = graph === this.graph ? null : graph.getLink(setter.inputs[slot].link)
      return link ? { node: graph.getNodeById(link.origin_id), slot: link.origin_slot } : undefined
    }
  }
}

app.registerExtension({
  name: 'tests.setAndGet',
  registerCustomNodes() {
    LiteGraph.registerNodeType('SetNode', Object.assign(SetNode, { title: 'Set' }))
    LiteGraph.registerNodeType('GetNode', Object.assign(GetNode, { title: 'Get' }))
  }
})
