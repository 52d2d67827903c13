package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

func device() *frame.Command {
	one := frame.Option{Name: "hostname", Value: "hostname", Help: "only those of one host"}
	return &frame.Command{Name: "device", Short: "The devices that hold copies", Sub: []*frame.Command{
		{Name: "list", Short: "List devices by host", Run: deviceList, Options: []frame.Option{
			{Name: "all", Help: "dead devices, too"}, one,
		}},
		{Name: "summary", Short: "Sum up the space on each host", Run: deviceSummary, Options: []frame.Option{
			{Name: "status", Value: "state,...", Help: "the devices that count; alive,readonly,drain by default"}, one,
		}},
		{Name: "add", Args: []string{"hostname", "devid"}, Short: "Enter a device", Run: deviceAdd, Options: []frame.Option{
			{Name: "status", Value: "state", Help: "alive by default"},
		}},
		{Name: "mark", Args: []string{"hostname", "devid", "status"}, Short: "Set a device's state: alive, readonly, drain, down or dead", Run: deviceMark},
		{Name: "modify", Args: []string{"hostname", "devid"}, Short: "Change a device's state or weight; what is not given stays", Run: deviceModify, Options: []frame.Option{
			{Name: "status", Value: "state", Help: "alive, readonly, drain, down or dead"},
			{Name: "weight", Value: "number", Help: "how often it is chosen for reading; 0 for never"},
		}},
		{Name: "next", Short: "Tell a devid that was never used", Run: deviceNext},
	}}
}

// devices are all devices by their numbers.
func devices(ctx context.Context, c *frame.Call) ([]client.Device, error) {
	trackers, err := c.Trackers()
	if err != nil {
		return nil, err
	}
	list, err := trackers.Devices(ctx)
	if err != nil {
		return nil, frame.Fail("Error fetching devices", err, "")
	}
	slices.SortFunc(list, func(a, b client.Device) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// shelf is a host with some of its devices.
type shelf struct {
	mogile.Host
	devices []client.Device
}

// shelves are the hosts, or the one that --hostname names, with the devices that keep
// wants.
func shelves(ctx context.Context, c *frame.Call, keep func(client.Device) bool) ([]shelf, error) {
	list, err := hosts(ctx, c)
	if err != nil {
		return nil, err
	}
	devs, err := devices(ctx, c)
	if err != nil {
		return nil, err
	}
	only := mogile.HostName(c.Option("hostname"))
	var all []shelf
	for _, h := range list {
		if only != "" && h.Name != only {
			continue
		}
		s := shelf{Host: h}
		for _, d := range devs {
			if d.Host == h.ID && keep(d) {
				s.devices = append(s.devices, d)
			}
		}
		all = append(all, s)
	}
	if only != "" && len(all) == 0 {
		return nil, frame.Fail("", fmt.Errorf("there is no host %s", only), "asked %s; see %s", strings.Join(c.Addresses(), ", "), c.Line("host list"))
	}
	return all, nil
}

// deviceJSON is a device in JSON.
type deviceJSON struct {
	ID          mogile.DevID    `json:"devid"`
	Host        mogile.HostName `json:"hostname"`
	Status      mogile.DevState `json:"status"`
	Observed    string          `json:"observed_state"`
	MBTotal     int64           `json:"mb_total"`
	MBUsed      int64           `json:"mb_used"`
	MBFree      int64           `json:"mb_free"`
	Weight      int             `json:"weight"`
	Utilization string          `json:"utilization"`
}

func deviceList(ctx context.Context, c *frame.Call) error {
	list, err := shelves(ctx, c, func(d client.Device) bool { return c.Given("all") || !d.State.Lost() })
	if err != nil {
		return err
	}
	all := []deviceJSON{}
	for _, s := range list {
		for _, d := range s.devices {
			all = append(all, deviceJSON{d.ID, s.Name, d.State, d.Observed, d.MBTotal, d.MBUsed, d.MBTotal - d.MBUsed, d.Weight, d.Utilization})
		}
	}
	return c.Show(frame.Listing{
		JSON: all,
		Plain: func(w io.Writer) {
			for _, s := range list {
				writeShelf(w, s)
			}
		},
		Table: func(p screen.Paint) []screen.Table { return []screen.Table{deviceTable(list, p)} },
	})
}

func writeShelf(w io.Writer, s shelf) {
	fmt.Fprintf(w, "%s [%d]: %s\n", s.Name, s.ID, s.State)
	fmt.Fprintf(w, "%27s %10s %10s %10s\n", "used(G)", "free(G)", "total(G)", "weight(%)")
	for _, d := range s.devices {
		fmt.Fprintf(w, "%7s: %7s %10.3f %10.3f %10.3f %10d\n", "dev"+d.ID.String(), d.State,
			gigs(d.MBUsed), gigs(d.MBTotal-d.MBUsed), gigs(d.MBTotal), d.Weight)
	}
	fmt.Fprintln(w)
}

func gigs(mb int64) float64 { return float64(mb) / 1024 }

func deviceTable(list []shelf, p screen.Paint) screen.Table {
	t := screen.Table{
		Header: []string{"HOST", "DEVICE", "STATUS", "OBSERVED", "USED", "FREE", "TOTAL", "USE%", "WEIGHT", "I/O%"},
		Right:  []int{4, 5, 6, 7, 8, 9},
	}
	for _, s := range list {
		for _, d := range s.devices {
			use := "-"
			if d.MBTotal > 0 {
				use = percent(p, float64(d.MBUsed)/float64(d.MBTotal)*100)
			}
			t.Add(string(s.Name), "dev"+d.ID.String(), p.State(string(d.State)), p.State(cmp.Or(d.Observed, "-")),
				screen.Bytes(d.MBUsed<<20), screen.Bytes((d.MBTotal-d.MBUsed)<<20), screen.Bytes(d.MBTotal<<20),
				use, fmt.Sprint(d.Weight), cmp.Or(d.Utilization, "-"))
		}
	}
	return t
}

// Shares of a disk from which on it deserves a look, and is nearly full.
const (
	oddShare = 85
	badShare = 95
)

func percent(p screen.Paint, share float64) string {
	text := fmt.Sprintf("%.1f%%", share)
	switch {
	case share >= badShare:
		return p.Bad(text)
	case share >= oddShare:
		return p.Odd(text)
	}
	return text
}

// sumJSON is the space of a host in JSON.
type sumJSON struct {
	Host    mogile.HostName  `json:"hostname"`
	ID      mogile.HostID    `json:"hostid"`
	Status  mogile.HostState `json:"status"`
	MBUsed  int64            `json:"mb_used"`
	MBFree  int64            `json:"mb_free"`
	MBTotal int64            `json:"mb_total"`
}

func (s sumJSON) share() float64 {
	if s.MBTotal == 0 {
		return 0
	}
	return float64(s.MBUsed) / float64(s.MBTotal) * 100
}

func deviceSummary(ctx context.Context, c *frame.Call) error {
	counts := strings.Split(cmp.Or(c.Option("status"), "alive,readonly,drain"), ",")
	list, err := shelves(ctx, c, func(d client.Device) bool { return slices.Contains(counts, string(d.State)) })
	if err != nil {
		return err
	}
	sums := []sumJSON{}
	for _, s := range list {
		sum := sumJSON{Host: s.Name, ID: s.ID, Status: s.State}
		for _, d := range s.devices {
			sum.MBUsed += d.MBUsed
			sum.MBTotal += d.MBTotal
		}
		sum.MBFree = sum.MBTotal - sum.MBUsed
		sums = append(sums, sum)
	}
	return c.Show(frame.Listing{
		JSON: sums,
		Plain: func(w io.Writer) {
			fmt.Fprintf(w, "%-15s %6s %7s %9s %8s %8s %8s\n", "Hostname", "HostID", "Status", "used(G)", "free(G)", "total(G)", "%Used")
			for _, s := range sums {
				fmt.Fprintf(w, "%-15s [%4d]: %6s  %8.3f %8.3f %8.3f  %7.2f\n", s.Host, s.ID, s.Status,
					gigs(s.MBUsed), gigs(s.MBFree), gigs(s.MBTotal), s.share())
			}
		},
		Table: func(p screen.Paint) []screen.Table {
			t := screen.Table{Header: []string{"ID", "HOST", "STATUS", "USED", "FREE", "TOTAL", "USE%"}, Right: []int{0, 3, 4, 5, 6}}
			for _, s := range sums {
				t.Add(s.ID.String(), string(s.Host), p.State(string(s.Status)), screen.Bytes(s.MBUsed<<20),
					screen.Bytes(s.MBFree<<20), screen.Bytes(s.MBTotal<<20), percent(p, s.share()))
			}
			return []screen.Table{t}
		},
	})
}

func deviceAdd(ctx context.Context, c *frame.Call) error {
	dev, err := devid(c)
	if err != nil {
		return err
	}
	args := pairs("hostname", c.Arg("hostname"), "devid", dev, "state", cmp.Or(c.Option("status"), string(mogile.DevAlive)))
	return change(ctx, c, "Error adding device", "Device added.", "create_device", args)
}

func deviceMark(ctx context.Context, c *frame.Call) error { return setState(ctx, c, c.Arg("status")) }

func setState(ctx context.Context, c *frame.Call, state string) error {
	dev, err := devid(c)
	if err != nil {
		return err
	}
	if state == string(mogile.DevDrain) {
		fmt.Fprintln(c.Stdout, "***NOTE***: As of server version 2.40 'drain' has changed. See docs/wiki")
	}
	args := pairs("host", c.Arg("hostname"), "device", dev, "state", state)
	return change(ctx, c, "Error updating device", "Device updated.", "set_state", args)
}

// deviceModify sets the state first: a weight alone does no harm, should the state be
// refused.
func deviceModify(ctx context.Context, c *frame.Call) error {
	if !c.Given("status") && !c.Given("weight") {
		return errors.New("nothing to modify: give --status= or --weight=")
	}
	if c.Given("status") {
		if err := setState(ctx, c, c.Option("status")); err != nil {
			return err
		}
	}
	if !c.Given("weight") {
		return nil
	}
	dev, err := devid(c)
	if err != nil {
		return err
	}
	weight := c.Option("weight")
	if weight == "" || strings.Trim(weight, "0123456789") != "" {
		return fmt.Errorf("weight %q: want a number from 0 up", weight)
	}
	args := pairs("host", c.Arg("hostname"), "device", dev, "weight", weight)
	return change(ctx, c, "Error updating device", "Device updated.", "set_weight", args)
}

func deviceNext(ctx context.Context, c *frame.Call) error {
	list, err := devices(ctx, c)
	if err != nil {
		return err
	}
	next := mogile.DevID(1)
	if n := len(list); n > 0 {
		next = list[n-1].ID + 1
	}
	return c.Show(frame.Listing{JSON: next, Plain: func(w io.Writer) { fmt.Fprintln(w, next) }})
}
