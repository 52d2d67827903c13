package policy

import (
	"slices"
	"strconv"
	"strings"
)

// Policy is a parsed replication policy. The zero Policy is MultipleHosts().
type Policy struct {
	name kind // empty: MultipleHosts
	// min overrides the class's mindevcount unless it is 0.
	min   int
	zones []zoneCount // of a HostsPerNetwork
	parts []Policy    // of a Union; none of them is one
}

// kind is the name of a policy.
type kind string

const (
	multipleHosts    kind = "MultipleHosts"
	multipleDevices  kind = "MultipleDevices"
	hostsPerNetwork  kind = "HostsPerNetwork"
	multipleNetworks kind = "MultipleNetworks"
	union            kind = "Union"
)

func (p Policy) kind() kind {
	if p.name == "" {
		return multipleHosts
	}
	return p.name
}

// String is the policy as [Parse] reads it, which is no longer than what was parsed.
func (p Policy) String() string {
	var args []string
	if p.min > 0 {
		args = append(args, strconv.Itoa(p.min))
	}
	for _, z := range p.zones {
		args = append(args, z.zone+"="+strconv.Itoa(z.want))
	}
	for _, part := range p.parts {
		args = append(args, part.String())
	}
	return string(p.kind()) + "(" + strings.Join(args, ",") + ")"
}

// Zones are the zones that the policy names, sorted.
func (p Policy) Zones() []string {
	var names []string
	for _, z := range p.zones {
		names = append(names, z.zone)
	}
	for _, part := range p.parts {
		names = append(names, part.Zones()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
