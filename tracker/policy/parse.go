package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// builtin is the namespace of names that are written without a colon.
const builtin = "MogileFS::ReplicationPolicy::"

// rules are the policies there are, by name. Nothing changes it.
var rules = map[string]func(Facts) Answer{
	"MultipleHosts":   multipleHosts,
	"MultipleDevices": multipleDevices,
}

var grammar = regexp.MustCompile(`^\s*([\w:]+)\s*\(\s*(.*?)\s*\)\s*$`)

// Policy is a parsed replication policy. The zero Policy is MultipleHosts().
type Policy struct {
	name string
	// min overrides the class's mindevcount unless it is 0.
	min int
}

// Parse reads Name() or Name(number), with blanks anywhere between; the empty text
// is MultipleHosts().
func Parse(s string) (Policy, error) {
	if strings.TrimSpace(s) == "" {
		return Policy{}, nil
	}
	m := grammar.FindStringSubmatch(s)
	if m == nil {
		return Policy{}, fmt.Errorf("replication policy %q: want Name() or Name(number), as in MultipleHosts(3)", s)
	}
	p := Policy{name: strings.TrimPrefix(m[1], builtin)}
	if _, ok := rules[p.name]; !ok {
		known := strings.Join(slices.Sorted(maps.Keys(rules)), ", ")
		return Policy{}, fmt.Errorf("replication policy %q: there is no %s; known are %s", s, m[1], known)
	}
	if m[2] == "" {
		return p, nil
	}
	// 8 bits: more than class.mindevcount can hold is a slip of the pen.
	n, err := strconv.ParseUint(m[2], 10, 8)
	if err != nil {
		return Policy{}, fmt.Errorf("replication policy %q: %s takes a number of copies from 0 to 255, not %q", s, p.name, m[2])
	}
	p.min = int(n)
	return p, nil
}

// String is the policy as [Parse] reads it.
func (p Policy) String() string {
	name, args := p.name, ""
	if name == "" {
		name = "MultipleHosts"
	}
	if p.min > 0 {
		args = strconv.Itoa(p.min)
	}
	return name + "(" + args + ")"
}
