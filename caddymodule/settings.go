package caddymodule

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"

	"github.com/mogilefs/caddy-mogilefs/tracker"
)

// trackerSettings reads the tunables of mogilefsd.conf into the tracker's config
// (docs/spec/storage-node.md §6).
var trackerSettings = map[string]func(*tracker.Config, string) error{
	"min_free_space": func(c *tracker.Config, v string) (err error) {
		c.MinFreeMB, err = parseMegabytes(v)
		return err
	},
	"default_mindevcount": func(c *tracker.Config, v string) (err error) {
		c.DefaultMinDevCount, err = strconv.Atoi(v)
		return err
	},
	"node_timeout": func(c *tracker.Config, v string) (err error) {
		c.NodeTimeout, err = parseSeconds(v)
		return err
	},
	"conn_timeout": func(c *tracker.Config, v string) (err error) {
		c.ConnTimeout, err = parseSeconds(v)
		return err
	},
	"mogstored_stream_port": func(c *tracker.Config, v string) error {
		port, err := strconv.ParseUint(v, 10, 16)
		c.MgmtPort = uint16(port)
		return err
	},
}

func (t *Tracker) loadSettings() error {
	for name, value := range t.Settings {
		set, ok := trackerSettings[name]
		if !ok {
			known := slices.Sorted(maps.Keys(trackerSettings))
			return fmt.Errorf("setting %s: not known; there are %s", name, strings.Join(known, ", "))
		}
		if err := set(&t.config, value); err != nil {
			return fmt.Errorf("setting %s %s: %w", name, value, err)
		}
	}
	return nil
}

// parseMegabytes reads a plain number as MiB, as mogilefsd.conf has it, or a size
// with its unit.
func parseMegabytes(s string) (int64, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	n, err := humanize.ParseBytes(s)
	return int64(n >> 20), err
}

// parseSeconds reads a plain number as seconds, as mogilefsd.conf has it, or a
// duration with its unit.
func parseSeconds(s string) (time.Duration, error) {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return time.Duration(n * float64(time.Second)), nil
	}
	return caddy.ParseDuration(s)
}
