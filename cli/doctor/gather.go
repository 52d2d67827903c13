package doctor

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

const (
	// atOnce is how many nodes are asked at a time.
	atOnce = 16
	// maxUsage is more than a usage file has.
	maxUsage = 64 << 10
)

// facts are what trackers and nodes tell.
type facts struct {
	trackers []asked
	hosts    []mogile.Host
	devices  []client.Device
	domains  []client.Domain
	nodes    map[mogile.HostID]node
	usages   map[mogile.DevID]usage
	// side is the port that the side channel was looked for at.
	side string
	now  time.Time
}

// asked is a tracker.
type asked struct {
	address string
	err     error
	// version is empty when it tells us none, and whyNot is what it says instead.
	version, whyNot string
	// knows is its hosts and devices, as a text that other trackers should have too.
	knows string
}

// node is a storage node.
type node struct {
	err   error // of its HTTP side, for writing
	read  error // of the port that reads go to, when that is another
	side  error // of its side channel
	ahead time.Duration
	dated bool
}

// usage is a device's usage file.
type usage struct {
	err                    error
	total, used, available int64 // KiB
	device                 string
	written                int64 // seconds since 1970
}

// gatherer asks.
type gatherer struct {
	c       *frame.Call
	http    *http.Client
	timeout time.Duration
	facts
}

func gather(ctx context.Context, c *frame.Call, side string) (*facts, error) {
	timeout, err := c.Timeout()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: atOnce}
	defer transport.CloseIdleConnections()
	g := &gatherer{c: c, timeout: timeout, http: &http.Client{Transport: transport, Timeout: timeout}, facts: facts{
		side: side, nodes: map[mogile.HostID]node{}, usages: map[mogile.DevID]usage{}, now: time.Now(),
	}}
	for _, address := range c.Addresses() {
		g.trackers = append(g.trackers, g.tracker(ctx, address))
	}
	if g.domains == nil {
		return &g.facts, nil // no tracker answered
	}
	g.askNodes(ctx)
	g.askDevices(ctx)
	return &g.facts, nil
}

// tracker asks one tracker; what the first that answers knows is what is judged.
func (g *gatherer) tracker(ctx context.Context, address string) asked {
	a := asked{address: address}
	one, err := g.c.Dial(address)
	if err != nil {
		a.err = err
		return a
	}
	defer one.Close()
	var list topology
	if list, a.err = askTopology(ctx, one); a.err != nil {
		return a
	}
	a.knows = list.text()
	if g.domains == nil {
		g.hosts, g.devices, g.domains = list.hosts, list.devices, list.domains
	}
	version, err := g.version(ctx, address)
	if a.version = version; err != nil {
		a.whyNot = err.Error()
	}
	return a
}

// topology is what a tracker knows.
type topology struct {
	hosts   []mogile.Host
	devices []client.Device
	domains []client.Domain
}

func askTopology(ctx context.Context, one *client.Client) (t topology, err error) {
	if t.hosts, err = one.Hosts(ctx); err != nil {
		return t, err
	}
	if t.devices, err = one.Devices(ctx); err != nil {
		return t, err
	}
	if t.domains, err = one.Domains(ctx); err != nil {
		return t, err
	}
	if t.domains == nil {
		t.domains = []client.Domain{} // it has answered
	}
	slices.SortFunc(t.hosts, func(a, b mogile.Host) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(t.devices, func(a, b client.Device) int { return cmp.Compare(a.ID, b.ID) })
	return t, nil
}

// text has what does not change by itself.
func (t topology) text() string {
	var b strings.Builder
	for _, h := range t.hosts {
		fmt.Fprintln(&b, h.ID, h.Name, h.IP, h.Port)
	}
	for _, d := range t.devices {
		fmt.Fprintln(&b, d.ID, d.Host)
	}
	return b.String()
}

// version is what a tracker answers to !version.
func (g *gatherer) version(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	conn, err := g.c.Conn(ctx, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, "!version\r\n"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(io.LimitReader(conn, 4<<10)).ReadString('\n')
	line = strings.TrimSpace(line)
	if why, refused := strings.CutPrefix(line, "ERROR: "); refused {
		return "", errors.New(why)
	}
	if strings.HasPrefix(line, "ERR ") {
		return "", errors.New(strings.TrimPrefix(line, "ERR "))
	}
	return line, err
}

// askNodes asks all nodes that should answer.
func (g *gatherer) askNodes(ctx context.Context) {
	found := make([]node, len(g.hosts))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, h := range g.hosts {
		if !h.State.Readable() {
			continue
		}
		group.Go(func() error {
			found[i] = g.node(ctx, h)
			return nil
		})
	}
	_ = group.Wait() // they return none
	for i, h := range g.hosts {
		if h.State.Readable() {
			g.nodes[h.ID] = found[i]
		}
	}
}

func (g *gatherer) node(ctx context.Context, h mogile.Host) (n node) {
	before := time.Now()
	header, _, err := g.get(ctx, "http://"+mogile.HostAddr(h.IP, h.Port)+"/")
	if n.err = err; err == nil {
		// Seconds are all that the header has: half of one is what is lost on average.
		if date, err := http.ParseTime(header.Get("Date")); err == nil {
			n.ahead, n.dated = ahead(date, before, time.Now()), true
		}
	}
	if h.ReadPort() != h.Port {
		_, _, n.read = g.get(ctx, "http://"+mogile.HostAddr(h.IP, h.ReadPort())+"/")
	}
	dialer := net.Dialer{Timeout: g.timeout}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(h.IP, g.side))
	if n.side = err; err == nil {
		n.side = conn.Close()
	}
	return n
}

// ahead is how far a clock is ahead that told a time, in whole seconds, between two times of
// ours: by half a second more, as that is what is cut off on average, and by as much less as
// nobody knows when between the two it was told.
func ahead(told, before, after time.Time) time.Duration {
	doubt := after.Sub(before) / 2
	off := told.Add(time.Second / 2).Sub(before.Add(doubt))
	switch {
	case off > doubt:
		return off - doubt
	case off < -doubt:
		return off + doubt
	}
	return 0
}

// askDevices reads the usage files of devices whose nodes answer.
func (g *gatherer) askDevices(ctx context.Context) {
	found := make([]*usage, len(g.devices))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, d := range g.devices {
		h, ok := g.host(d.Host)
		if n, asked := g.nodes[d.Host]; !ok || !asked || n.err != nil || d.State.Lost() {
			continue
		}
		group.Go(func() error {
			_, text, err := g.get(ctx, "http://"+mogile.HostAddr(h.IP, h.ReadPort())+"/"+name(d.ID)+"/usage")
			u := parseUsage(text)
			u.err = err
			found[i] = &u
			return nil
		})
	}
	_ = group.Wait() // they return none
	for i, d := range g.devices {
		if found[i] != nil {
			g.usages[d.ID] = *found[i]
		}
	}
}

func parseUsage(text string) usage {
	is := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			is[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return usage{
		total: protocol.Num(is["total"]), used: protocol.Num(is["used"]), available: protocol.Num(is["available"]),
		device: is["device"], written: protocol.Num(is["time"]),
	}
}

// get fetches something small.
func (g *gatherer) get(ctx context.Context, url string) (http.Header, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := g.http.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxUsage))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return resp.Header, string(text), err
}

func (f *facts) host(id mogile.HostID) (mogile.Host, bool) {
	i := slices.IndexFunc(f.hosts, func(h mogile.Host) bool { return h.ID == id })
	if i < 0 {
		return mogile.Host{}, false
	}
	return f.hosts[i], true
}
