package admin

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// defaultPort is a storage node's.
const defaultPort = "7500"

func host() *frame.Command {
	options := []frame.Option{
		{Name: "status", Value: "alive|down|readonly", Help: "the host's state; a new host is down"},
		{Name: "ip", Value: "address", Help: "its address; that of its name when a new host has none"},
		{Name: "port", Value: "port", Help: "its port; 7500 for a new host"},
		{Name: "getport", Value: "port", Help: "the port for reading, when it is another"},
		{Name: "altip", Value: "address", Help: "the address for clients inside altmask"},
		{Name: "altmask", Value: "network", Help: "who altip is for, such as 10.0.0.0/8"},
	}
	return &frame.Command{Name: "host", Short: "The hosts that storage nodes run on", Sub: []*frame.Command{
		{Name: "list", Short: "List hosts", Run: hostList},
		{Name: "add", Args: []string{"hostname"}, Short: "Enter a host", Options: options, Run: hostAdd},
		{Name: "modify", Args: []string{"hostname"}, Short: "Change what is known of a host; what is not given stays", Options: options, Run: hostModify},
		{Name: "mark", Args: []string{"hostname", "status"}, Short: "Set a host's state: alive, readonly, down or dead", Run: hostMark},
		{Name: "delete", Args: []string{"hostname"}, Short: "Delete a host that never had a device", Run: hostDelete},
	}}
}

// hosts are all hosts by their numbers.
func hosts(ctx context.Context, c *frame.Call) ([]mogile.Host, error) {
	trackers, err := c.Trackers()
	if err != nil {
		return nil, err
	}
	list, err := trackers.Hosts(ctx)
	if err != nil {
		return nil, frame.Fail("Error fetching hosts", err, "")
	}
	slices.SortFunc(list, func(a, b mogile.Host) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// hostJSON is a host in JSON.
type hostJSON struct {
	ID      mogile.HostID    `json:"hostid"`
	Name    mogile.HostName  `json:"hostname"`
	Status  mogile.HostState `json:"status"`
	IP      string           `json:"ip"`
	Port    uint16           `json:"port"`
	GetPort uint16           `json:"getport,omitempty"`
	AltIP   string           `json:"altip,omitempty"`
	AltMask string           `json:"altmask,omitempty"`
}

func hostList(ctx context.Context, c *frame.Call) error {
	list, err := hosts(ctx, c)
	if err != nil {
		return err
	}
	all := make([]hostJSON, 0, len(list))
	for _, h := range list {
		all = append(all, hostJSON{h.ID, h.Name, h.State, h.IP, h.Port, h.GetPort, h.AltIP, h.AltMask})
	}
	return c.Show(frame.Listing{
		JSON: all,
		Plain: func(w io.Writer) {
			for _, h := range list {
				writeHost(w, h)
			}
		},
		Table: func(p screen.Paint) []screen.Table {
			t := screen.Table{Header: []string{"ID", "HOST", "STATUS", "ADDRESS", "GET PORT", "ALT IP", "ALT MASK"}, Right: []int{0}}
			for _, h := range list {
				get := ""
				if h.GetPort != 0 {
					get = fmt.Sprint(h.GetPort)
				}
				t.Add(h.ID.String(), string(h.Name), p.State(string(h.State)), mogile.HostAddr(h.IP, h.Port), get, h.AltIP, h.AltMask)
			}
			return []screen.Table{t}
		},
	})
}

func writeHost(w io.Writer, h mogile.Host) {
	fmt.Fprintf(w, "%s [%d]: %s\n", h.Name, h.ID, h.State)
	fmt.Fprintf(w, "  IP:       %s\n", mogile.HostAddr(h.IP, h.Port))
	if h.AltIP != "" {
		fmt.Fprintf(w, "  Alt IP:   %s\n", h.AltIP)
	}
	if h.AltMask != "" {
		fmt.Fprintf(w, "  Alt Mask: %s\n", h.AltMask)
	}
	if h.GetPort != 0 {
		fmt.Fprintf(w, "  GET Port: %d\n", h.GetPort)
	}
	fmt.Fprintln(w)
}

func hostAdd(ctx context.Context, c *frame.Call) error {
	name := c.Arg("hostname")
	ip := c.Option("ip")
	if ip == "" {
		var err error
		if ip, err = lookUp(ctx, name); err != nil {
			return frame.Fail("Error adding host", err, "give its address with --ip=")
		}
	}
	args := pairs("host", name, "ip", ip,
		"port", cmp.Or(c.Option("port"), defaultPort), "status", cmp.Or(c.Option("status"), string(mogile.HostDown)))
	given(c, &args, "getport", "getport", "altip", "altip", "altmask", "altmask")
	return change(ctx, c, "Error adding host", "Host added.", "create_host", args)
}

// lookUp is the address that a name has, IPv4 when there is a choice.
func lookUp(ctx context.Context, name string) (string, error) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return "", fmt.Errorf("look up the address of %s: %w", name, err)
	}
	for _, ip := range found {
		if ip.Unmap().Is4() {
			return ip.Unmap().String(), nil
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%s has no address", name)
	}
	return found[0].String(), nil
}

func hostModify(ctx context.Context, c *frame.Call) error {
	args := pairs("host", c.Arg("hostname"))
	given(c, &args, "status", "status", "ip", "ip", "port", "port", "getport", "getport", "altip", "altip", "altmask", "altmask")
	return change(ctx, c, "Error modifying host", "Host modified.", "update_host", args)
}

func hostMark(ctx context.Context, c *frame.Call) error {
	args := pairs("host", c.Arg("hostname"), "status", c.Arg("status"))
	return change(ctx, c, "Error updating host", "Host updated.", "update_host", args)
}

func hostDelete(ctx context.Context, c *frame.Call) error {
	return change(ctx, c, "Error deleting host", "Host deleted.", "delete_host", pairs("host", c.Arg("hostname")))
}
