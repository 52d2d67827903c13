package admin

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func settings() *frame.Command {
	return &frame.Command{Name: "settings", Short: "What all trackers of a database go by", Sub: []*frame.Command{
		{Name: "list", Short: "List settings, but those of fsck and rebalance", Run: settingsList},
		{Name: "set", Args: []string{"key", "value"}, Short: "Set a setting; an empty value unsets most", Run: settingsSet},
	}}
}

// allSettings are the settings that a tracker shows and keep wants.
func allSettings(ctx context.Context, c *frame.Call, keep func(key string) bool) (map[string]string, error) {
	values, err := ask(ctx, c, "Error fetching settings", "server_settings", protocol.Pairs{})
	if err != nil {
		return nil, err
	}
	kept := map[string]string{}
	all := numbered(values, "key_count", "value_", "")
	for i, key := range numbered(values, "key_count", "key_", "") {
		if keep(key) && i < len(all) {
			kept[key] = all[i]
		}
	}
	return kept, nil
}

func settingsList(ctx context.Context, c *frame.Call) error {
	values, err := allSettings(ctx, c, func(key string) bool { return !strings.HasPrefix(key, "rebal") })
	if err != nil {
		return err
	}
	return showSettings(c, values)
}

func showSettings(c *frame.Call, values map[string]string) error {
	return c.Show(frame.Listing{
		JSON:  values,
		Plain: func(w io.Writer) { fmt.Fprint(w, settingLines(values)) },
		Table: func(screen.Paint) []screen.Table {
			t := screen.Table{Header: []string{"SETTING", "VALUE"}}
			for _, key := range slices.Sorted(maps.Keys(values)) {
				t.Add(key, values[key])
			}
			return []screen.Table{t}
		},
	})
}

func settingsSet(ctx context.Context, c *frame.Call) error {
	return set(ctx, c, "Error setting "+c.Arg("key"), c.Arg("key"), c.Arg("value"))
}

func set(ctx context.Context, c *frame.Call, doing, key, value string) error {
	return change(ctx, c, doing, "Setting "+key+" set.", "set_server_setting", pairs("key", key, "value", value))
}

// setting is one setting; empty when it is unset.
func setting(ctx context.Context, c *frame.Call, key string) (string, error) {
	values, err := ask(ctx, c, "Error fetching setting "+key, "server_setting", pairs("key", key))
	return values["value"], err
}
