package admin

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
)

func slave() *frame.Command {
	options := []frame.Option{
		{Name: "dsn", Value: "dsn", Help: "the database, such as DBI:mysql:mogilefs:host=db2"},
		{Name: "username", Value: "user", Help: "who logs in"},
		{Name: "password", Value: "password", Help: "with what"},
	}
	return &frame.Command{Name: "slave", Short: "Replicas of the trackers' database", Sub: []*frame.Command{
		{Name: "list", Short: "List replicas", Run: slaveList},
		{Name: "add", Args: []string{"key"}, Short: "Add a replica", Options: options, Run: slaveAdd},
		{Name: "modify", Args: []string{"key"}, Short: "Change a replica; what is not given stays", Options: options, Run: slaveModify},
		{Name: "delete", Args: []string{"key"}, Short: "Remove a replica", Run: slaveDelete},
	}}
}

// The settings that replicas are kept in.
const (
	slaveKeys  = "slave_keys"
	slaveField = "slave_"
)

// replica is a setting slave_<key>.
type replica struct {
	Key      string `json:"key"`
	DSN      string `json:"dsn"`
	Username string `json:"username"`
	Password string `json:"password"`
}

func (r replica) String() string { return r.DSN + "|" + r.Username + "|" + r.Password }

// keys are the entries of slave_keys, which may have a weight behind them: key=weight.
func keys(ctx context.Context, c *frame.Call) ([]string, error) {
	list, err := setting(ctx, c, slaveKeys)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return strings.TrimSpace(s) == "" }), nil
}

func keyOf(entry string) string {
	key, _, _ := strings.Cut(strings.TrimSpace(entry), "=")
	return key
}

func readReplica(ctx context.Context, c *frame.Call, key string) (replica, error) {
	value, err := setting(ctx, c, slaveField+key)
	parts := strings.SplitN(value, "|", 3)
	for len(parts) < 3 {
		parts = append(parts, "")
	}
	return replica{key, parts[0], parts[1], parts[2]}, err
}

func slaveList(ctx context.Context, c *frame.Call) error {
	entries, err := keys(ctx, c)
	if err != nil {
		return err
	}
	all := []replica{}
	for _, entry := range entries {
		r, err := readReplica(ctx, c, keyOf(entry))
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	return c.Show(frame.Listing{
		JSON: all,
		Plain: func(w io.Writer) {
			for _, r := range all {
				fmt.Fprintf(w, "%s --dsn=%s --username=%s --password=%s\n", r.Key, r.DSN, r.Username, r.Password)
			}
		},
		Table: func(screen.Paint) []screen.Table {
			t := screen.Table{Header: []string{"KEY", "DSN", "USERNAME", "PASSWORD"}}
			for _, r := range all {
				t.Add(r.Key, r.DSN, r.Username, r.Password)
			}
			return []screen.Table{t}
		},
	})
}

// slaveAdd sets the replica before the list that names it, so that no tracker ever looks
// for one that is not there.
func slaveAdd(ctx context.Context, c *frame.Call) error {
	entries, key, there, err := lookForSlave(ctx, c)
	switch {
	case err != nil:
		return err
	case there >= 0:
		return frame.Fail("Error adding slave", fmt.Errorf("slave %s exists already", key), "change it with %s", c.Line("slave modify "+key))
	case strings.ContainsAny(key, ",=| ") || key == "keys" || key == "version":
		return frame.Fail("Error adding slave", fmt.Errorf("slave key %q: want a plain word that is not keys or version", key), "")
	case c.Option("dsn") == "":
		return frame.Fail("Error adding slave", fmt.Errorf("no database was given"), "name it with --dsn=")
	}
	r := replica{DSN: c.Option("dsn"), Username: c.Option("username"), Password: c.Option("password")}
	if err := set(ctx, c, "Error adding slave", slaveField+key, r.String()); err != nil {
		return err
	}
	return set(ctx, c, "Error adding slave", slaveKeys, strings.Join(append(entries, key), ","))
}

func slaveModify(ctx context.Context, c *frame.Call) error {
	_, key, there, err := lookForSlave(ctx, c)
	if err != nil {
		return err
	}
	if there < 0 {
		return noSlave(c, "Error modifying slave", key)
	}
	r, err := readReplica(ctx, c, key)
	if err != nil {
		return err
	}
	for option, field := range map[string]*string{"dsn": &r.DSN, "username": &r.Username, "password": &r.Password} {
		if c.Given(option) {
			*field = c.Option(option)
		}
	}
	return set(ctx, c, "Error modifying slave", slaveField+key, r.String())
}

// slaveDelete takes it off the list first: see slaveAdd.
func slaveDelete(ctx context.Context, c *frame.Call) error {
	entries, key, there, err := lookForSlave(ctx, c)
	if err != nil {
		return err
	}
	if there < 0 {
		return noSlave(c, "Error deleting slave", key)
	}
	if err := set(ctx, c, "Error deleting slave", slaveKeys, strings.Join(slices.Delete(entries, there, there+1), ",")); err != nil {
		return err
	}
	return set(ctx, c, "Error deleting slave", slaveField+key, "")
}

// lookForSlave finds the entry of the key that was named; there is -1 when there is
// none.
func lookForSlave(ctx context.Context, c *frame.Call) (entries []string, key string, there int, err error) {
	key = c.Arg("key")
	entries, err = keys(ctx, c)
	return entries, key, slices.IndexFunc(entries, func(entry string) bool { return keyOf(entry) == key }), err
}

func noSlave(c *frame.Call, doing, key string) error {
	return frame.Fail(doing, fmt.Errorf("there is no slave %s", key), "asked %s; see %s", strings.Join(c.Addresses(), ", "), c.Line("slave list"))
}
