package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
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
		if err == nil && c.DefaultMinDevCount < 1 {
			err = errTooLittle
		}
		return err
	},
	"copies_per_device": func(c *tracker.Config, v string) (err error) { // ours; mogilefsd.conf has none
		c.CopiesPerDevice, err = strconv.Atoi(v)
		if err == nil && c.CopiesPerDevice < 1 {
			err = errTooLittle
		}
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
	"local_network": func(c *tracker.Config, v string) (err error) {
		c.LocalNetwork, err = parseNetwork(v)
		return err
	},
	"mogstored_stream_port": func(c *tracker.Config, v string) error {
		port, err := strconv.ParseUint(v, 10, 16)
		c.MgmtPort = uint16(port)
		if err == nil && port == 0 {
			err = errTooLittle
		}
		return err
	},
}

// errTooLittle is for a 0 where the tracker's config means its default by it.
var errTooLittle = errors.New("want more than 0")

func (t *Tracker) loadSettings() error {
	for _, name := range slices.Sorted(maps.Keys(t.Settings)) {
		value := t.Settings[name]
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
// with its unit. No free space at all is -1 in the tracker's config.
func parseMegabytes(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		var bytes uint64
		bytes, err = humanize.ParseBytes(s)
		n = int64(bytes >> 20)
	}
	switch {
	case err != nil:
		return 0, err
	case n < 0:
		return 0, errors.New("want 0 or more")
	case n == 0:
		return -1, nil
	}
	return n, nil
}

// parseNetwork reads a network, or an address as the network that has no other.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, errors.New("want an address or a network, such as 10.1.0.0/16")
	}
	return p, nil
}

// maxSeconds is far longer than anybody waits, and far from overflowing a duration.
const maxSeconds = 24 * 60 * 60

// parseSeconds reads a plain number as seconds, as mogilefsd.conf has it, or a
// duration with its unit.
func parseSeconds(s string) (time.Duration, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		var d time.Duration
		d, err = caddy.ParseDuration(s)
		n = d.Seconds()
	}
	switch {
	case err != nil:
		return 0, err
	case !(n > 0 && n <= maxSeconds): // NaN is neither
		return 0, fmt.Errorf("want more than 0 and at most %d seconds", maxSeconds)
	}
	return time.Duration(n * float64(time.Second)), nil
}
