package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// defaultMinDevCount is how many copies the files of a new class have.
const defaultMinDevCount = "2"

func class() *frame.Command {
	options := []frame.Option{
		{Name: "mindevcount", Value: "number", Help: "how many copies a file must have; 2 for a new class"},
		{Name: "replpolicy", Value: "policy", Help: "where they may be, such as MultipleHosts(3)"},
		{Name: "hashtype", Value: "MD5|SHA-1|NONE", Help: "what checksums are kept"},
	}
	return &frame.Command{Name: "class", Short: "How a domain's files are kept", Sub: []*frame.Command{
		{Name: "list", Short: "List domains and their classes", Run: domainList},
		{Name: "add", Args: []string{"domain", "class"}, Short: "Create a class", Options: options, Run: classAdd},
		{Name: "modify", Args: []string{"domain", "class"}, Short: "Change a class; what is not given stays", Options: options, Run: classModify},
		{Name: "delete", Args: []string{"domain", "class"}, Short: "Delete a class without files", Run: classDelete},
	}}
}

func classAdd(ctx context.Context, c *frame.Call) error {
	return sendClass(ctx, c, "Error creating class", "Class created.", "create_class", cmp.Or(c.Option("mindevcount"), defaultMinDevCount))
}

// classModify tells the tracker the mindevcount that is, when none was given: without it
// trackers refuse.
//
// Somebody may change it between the look and the change; then the mindevcount is as it
// was before that.
func classModify(ctx context.Context, c *frame.Call) error {
	mindevcount := c.Option("mindevcount")
	if mindevcount == "" {
		now, err := findClass(ctx, c)
		if err != nil {
			return err
		}
		mindevcount = strconv.Itoa(now.MinDevCount)
	}
	return sendClass(ctx, c, "Error modifying class", "Class modified.", "update_class", mindevcount)
}

func sendClass(ctx context.Context, c *frame.Call, doing, done, command, mindevcount string) error {
	args := pairs("domain", c.Arg("domain"), "class", c.Arg("class"), "mindevcount", mindevcount)
	given(c, &args, "replpolicy", "replpolicy", "hashtype", "hashtype")
	return change(ctx, c, doing, done, command, args)
}

// findClass is the class as it is. Databases may take A for a, so it is found under both
// when nothing else has the name.
func findClass(ctx context.Context, c *frame.Call) (mogile.Class, error) {
	list, err := domains(ctx, c)
	if err != nil {
		return mogile.Class{}, err
	}
	var found []mogile.Class
	i := slices.IndexFunc(list, func(d client.Domain) bool { return string(d.Name) == c.Arg("domain") })
	if i < 0 {
		i = slices.IndexFunc(list, func(d client.Domain) bool { return strings.EqualFold(string(d.Name), c.Arg("domain")) })
	}
	if i < 0 {
		return mogile.Class{}, frame.Fail("Error modifying class", fmt.Errorf("domain_not_found Domain not found"), "asked %s: there is no domain %s; see %s",
			strings.Join(c.Addresses(), ", "), c.Arg("domain"), c.Line("domain list"))
	}
	for _, k := range list[i].Classes {
		if string(k.Name) == c.Arg("class") {
			return k, nil
		}
		if strings.EqualFold(string(k.Name), c.Arg("class")) {
			found = append(found, k)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return mogile.Class{}, frame.Fail("Error modifying class", fmt.Errorf("class_not_found Class not found"), "asked %s: the domain %s has no class %s; see %s",
		strings.Join(c.Addresses(), ", "), c.Arg("domain"), c.Arg("class"), c.Line("class list"))
}

func classDelete(ctx context.Context, c *frame.Call) error {
	return change(ctx, c, "Error deleting class", "Class deleted.", "delete_class", pairs("domain", c.Arg("domain"), "class", c.Arg("class")))
}
