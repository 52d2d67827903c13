package health

import (
	"maps"
	"slices"
)

// NodeStatus is what is known of a node, for those who watch over it.
type NodeStatus struct {
	// Address is its host and port.
	Address string
	Level   Level
	// InFlight is how many calls there are.
	InFlight int64
}

// Status is all nodes as they are known now, by address.
func (b *Board) Status() []NodeStatus {
	var all []NodeStatus
	nodes := *b.nodes.Load()
	for _, addr := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[addr]
		all = append(all, NodeStatus{Address: addr, Level: n.Level(), InFlight: n.InFlight()})
	}
	return all
}
