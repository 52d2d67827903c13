package admin

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

func domain() *frame.Command {
	return &frame.Command{Name: "domain", Short: "The namespaces of keys", Sub: []*frame.Command{
		{Name: "list", Short: "List domains and their classes", Run: domainList},
		{Name: "add", Args: []string{"domain"}, Short: "Create a domain", Run: domainAdd},
		{Name: "delete", Args: []string{"domain"}, Short: "Delete a domain without files and classes", Run: domainDelete},
	}}
}

// domains are all domains with their classes, by name.
func domains(ctx context.Context, c *frame.Call) ([]client.Domain, error) {
	trackers, err := c.Trackers()
	if err != nil {
		return nil, err
	}
	list, err := trackers.Domains(ctx)
	if err != nil {
		return nil, frame.Fail("Error fetching domains", err, "")
	}
	slices.SortFunc(list, func(a, b client.Domain) int { return cmp.Compare(a.Name, b.Name) })
	for _, d := range list {
		slices.SortFunc(d.Classes, func(a, b mogile.Class) int { return cmp.Compare(a.Name, b.Name) })
	}
	return list, nil
}

// classJSON is a class in JSON.
type classJSON struct {
	Name        mogile.ClassName `json:"class"`
	MinDevCount int              `json:"mindevcount"`
	Policy      string           `json:"replpolicy"`
	HashType    string           `json:"hashtype"`
}

// domainJSON is a domain in JSON.
type domainJSON struct {
	Name    mogile.DomainName `json:"domain"`
	Classes []classJSON       `json:"classes"`
}

func domainList(ctx context.Context, c *frame.Call) error {
	list, err := domains(ctx, c)
	if err != nil {
		return err
	}
	all := []domainJSON{}
	for _, d := range list {
		one := domainJSON{Name: d.Name, Classes: []classJSON{}}
		for _, k := range d.Classes {
			one.Classes = append(one.Classes, classJSON{k.Name, k.MinDevCount, k.Policy, k.Hash.String()})
		}
		all = append(all, one)
	}
	return c.Show(frame.Listing{
		JSON:  all,
		Plain: func(w io.Writer) { writeDomains(w, all) },
		Table: func(p screen.Paint) []screen.Table {
			t := screen.Table{Header: []string{"DOMAIN", "CLASS", "MINDEVCOUNT", "REPLPOLICY", "HASHTYPE"}, Right: []int{2}}
			for _, d := range all {
				for _, k := range d.Classes {
					t.Add(p.Strong(string(d.Name)), string(k.Name), fmt.Sprint(k.MinDevCount), k.Policy, k.HashType)
				}
			}
			return []screen.Table{t}
		},
	})
}

func writeDomains(w io.Writer, all []domainJSON) {
	fmt.Fprintln(w, " domain               class                mindevcount   replpolicy   hashtype")
	fmt.Fprintln(w, "-------------------- -------------------- ------------- ------------ -------")
	for _, d := range all {
		for _, k := range d.Classes {
			fmt.Fprintf(w, " %-20s %-20s %6d        %-12s %-7s\n", d.Name, k.Name, k.MinDevCount, k.Policy, k.HashType)
		}
		fmt.Fprintln(w)
	}
}

func domainAdd(ctx context.Context, c *frame.Call) error {
	return change(ctx, c, "Error creating domain", "Domain created.", "create_domain", pairs("domain", c.Arg("domain")))
}

func domainDelete(ctx context.Context, c *frame.Call) error {
	return change(ctx, c, "Error deleting domain", "Domain deleted.", "delete_domain", pairs("domain", c.Arg("domain")))
}
