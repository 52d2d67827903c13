package caddymodule

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker"
)

// Domain is a namespace of keys that must exist.
type Domain struct {
	// The classes that must exist in the domain, by name. The class `default`,
	// which every domain has, may be among them.
	Classes map[string]*Class `json:"classes,omitempty"`
}

// Class says how its files are kept.
type Class struct {
	// How many copies a file has. Default: 2.
	MinDevCount int `json:"mindevcount,omitempty"`

	// The replication policy, such as `MultipleHosts(3)`. Default:
	// `MultipleHosts()`, as many hosts as there are copies.
	ReplPolicy string `json:"replpolicy,omitempty"`

	// What checksums are made with: `MD5`, `SHA-1` or `NONE`. Default: `NONE`.
	HashType string `json:"hashtype,omitempty"`
}

const defaultMinDevCount = 2

func (d *Domain) declaration(name string) (tracker.DeclaredDomain, error) {
	declared := tracker.DeclaredDomain{Name: mogile.DomainName(name)}
	if d == nil { // JSON's null
		return declared, nil
	}
	for _, class := range slices.Sorted(maps.Keys(d.Classes)) {
		c, err := d.Classes[class].declaration(class)
		if err != nil {
			return declared, fmt.Errorf("domain %s: class %s: %w", name, class, err)
		}
		declared.Classes = append(declared.Classes, c)
	}
	return declared, nil
}

func (c *Class) declaration(name string) (tracker.DeclaredClass, error) {
	if c == nil { // JSON's null
		c = new(Class)
	}
	declared := tracker.DeclaredClass{
		Name:        mogile.ClassName(name),
		MinDevCount: c.MinDevCount,
		Policy:      c.ReplPolicy,
	}
	if declared.MinDevCount == 0 {
		declared.MinDevCount = defaultMinDevCount
	}
	if c.HashType == "" {
		return declared, nil
	}
	var err error
	declared.Hash, err = mogile.ParseHashType(c.HashType)
	return declared, err
}
