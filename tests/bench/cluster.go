package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// clusterHosts are the addresses of a cluster's storage nodes: trackers tell nodes apart by
// them, and reach all of them on one management port.
var clusterHosts = []string{"127.0.0.11", "127.0.0.12", "127.0.0.13"}

// clusterDevices is how many devices there are; host n has 2n-1 and 2n.
const clusterDevices = 6

// cluster is what jobs are measured on: one process is tracker and edge, another is three
// storage nodes with two devices each. So every copy and every look at one goes over
// connections, as it does between machines, and processes are few enough for two processors.
type cluster struct {
	site, nodes   programs
	engine        *engine
	dsn           string
	db            *sql.DB
	root          string // of the nodes' directories
	tracker, edge string
	admins        [2]string // admin APIs of site and nodes, for profiles; or "off"
	addrs         []string  // of the nodes
	management    string    // its port
	workers       map[string]string
	domain, class int
	said          net.Conn
	answers       *bufio.Reader
}

func startCluster(ctx context.Context, caddy string, e *engine, admin bool) (_ *cluster, err error) {
	dsn, err := e.create()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(e.dir, fmt.Sprintf("cluster%d", e.made))
	c := &cluster{
		site: programs{dir: filepath.Join(dir, "site")}, nodes: programs{dir: filepath.Join(dir, "nodes")},
		engine: e, dsn: dsn, root: filepath.Join(dir, "storage"), addrs: make([]string, len(clusterHosts)),
		admins: [2]string{"off", "off"},
	}
	if admin {
		if err := freeAddrs(&c.admins[0], &c.admins[1]); err != nil {
			return nil, err
		}
	}
	for _, d := range []string{c.site.dir, c.nodes.dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if err := c.choosePorts(); err != nil {
		return nil, err
	}
	return c, c.run(ctx, caddy)
}

// choosePorts takes ports that are free on this machine's first address, and so on the
// others, which nobody else uses.
func (c *cluster) choosePorts() error {
	one, two, three := new(string), new(string), new(string)
	management := new(string)
	if err := freeAddrs(&c.tracker, &c.edge, one, two, three, management); err != nil {
		return err
	}
	for n, addr := range []*string{one, two, three} {
		c.addrs[n] = net.JoinHostPort(clusterHosts[n], port(*addr))
	}
	c.management = port(*management)
	return nil
}

func (c *cluster) run(ctx context.Context, caddy string) error {
	if err := c.site.startCaddy(ctx, caddy, c.siteCaddyfile()); err != nil {
		return err
	}
	err := await(ctx, "tracker", func(ctx context.Context) (err error) {
		c.said, err = new(net.Dialer).DialContext(ctx, "tcp", c.tracker)
		return err
	})
	if err != nil {
		return err
	}
	c.answers = bufio.NewReader(c.said)
	if err := c.nodes.startCaddy(ctx, caddy, c.nodesCaddyfile()); err != nil {
		return err
	}
	if err := await(ctx, "devices", c.devicesInOrder); err != nil {
		return err
	}
	if c.db, err = c.engine.connect(c.dsn); err != nil {
		return err
	}
	if c.workers, err = c.countWorkers(); err != nil {
		return err
	}
	return c.db.QueryRowContext(ctx, "SELECT c.dmid, c.classid FROM class c, domain d WHERE c.dmid = d.dmid AND classname = 'pair'").
		Scan(&c.domain, &c.class)
}

func (c *cluster) stop() {
	if c.said != nil {
		_ = c.said.Close()
	}
	c.site.stop()
	c.nodes.stop()
	if c.db != nil {
		_ = c.db.Close()
	}
}

func (c *cluster) siteCaddyfile() string {
	return fmt.Sprintf(`{
	admin %s
	persist_config off
	log {
		level ERROR
	}
	mogilefs {
		tracker {
			listen %s
			database %s "%s"
			setting mogstored_stream_port %s
		}
		domain images {
			class pair 2
		}
	}
}
http://%s {
	mogilefs images {
		methods GET
	}
}
`, c.admins[0], c.tracker, c.engine.word, c.dsn, c.management, c.edge)
}

func (c *cluster) nodesCaddyfile() string {
	var blocks, sites strings.Builder
	for n, addr := range c.addrs {
		fmt.Fprintf(&blocks, `
		storage node%[1]d {
			root %[2]s
			devices %[3]d %[4]d
			address %[5]s
			management %[6]s:%[7]s
			register %[8]s
		}`, n+1, c.rootOf(n), 2*n+1, 2*n+2, addr, clusterHosts[n], c.management, c.tracker)
		fmt.Fprintf(&sites, "http://:%s {\n\tbind %s\n\tmogilefs_storage node%d\n}\n", port(addr), clusterHosts[n], n+1)
	}
	return fmt.Sprintf(`{
	admin %s
	persist_config off
	log {
		level ERROR
	}
	mogilefs {%s
	}
}
%s`, c.admins[1], blocks.String(), sites.String())
}

// used is the seconds of processor that tracker, nodes and database have used.
func (c *cluster) used() (used [3]float64, err error) {
	for i, pid := range []int{c.site.running[0].Process.Pid, c.nodes.running[0].Process.Pid, c.engine.pid} {
		if used[i], err = cpuTime(pid); err != nil {
			return used, err
		}
	}
	return used, nil
}

func (c *cluster) rootOf(host int) string {
	return filepath.Join(c.root, fmt.Sprintf("node%d", host+1))
}

// path is where a device has a fid.
func (c *cluster) path(fid mogile.FID, dev int) string {
	return filepath.Join(c.rootOf((dev-1)/2), fid.Path(mogile.DevID(dev)))
}

// do gives a command and returns what follows OK.
func (c *cluster) do(line string) (url.Values, error) {
	if _, err := fmt.Fprintf(c.said, "%s\r\n", line); err != nil {
		return nil, err
	}
	answer, err := c.answers.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s: %w", line, err)
	}
	pairs, ok := strings.CutPrefix(strings.TrimRight(answer, "\r\n"), "OK ")
	if !ok {
		return nil, fmt.Errorf("%s: got %q; want OK", line, answer)
	}
	return url.ParseQuery(pairs)
}

// operate gives an operator's line and returns the lines of the answer.
func (c *cluster) operate(line string) ([]string, error) {
	if _, err := fmt.Fprintf(c.said, "%s\r\n", line); err != nil {
		return nil, err
	}
	for lines := []string(nil); ; {
		answer, err := c.answers.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		if answer = strings.TrimRight(answer, "\r\n"); answer == "." {
			return lines, nil
		}
		lines = append(lines, answer)
	}
}

// countWorkers is how many of each job work by default.
func (c *cluster) countWorkers() (map[string]string, error) {
	lines, err := c.operate("!jobs")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, line := range lines {
		if job, n, ok := strings.Cut(line, " desired "); ok {
			found[job] = n
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("!jobs: got %q", lines)
	}
	return found, nil
}

// hold keeps jobs from working, release has as many work as do by default.
func (c *cluster) hold(jobs ...string) error { return c.want(jobs, func(string) string { return "0" }) }

func (c *cluster) release(jobs ...string) error {
	return c.want(jobs, func(job string) string { return c.workers[job] })
}

func (c *cluster) want(jobs []string, n func(job string) string) error {
	var errs []error
	for _, job := range jobs {
		_, err := c.operate(fmt.Sprintf("!want %s %s", n(job), job))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *cluster) devicesInOrder(context.Context) error {
	devs, err := c.do("get_devices")
	if err != nil {
		return err
	}
	n := 0
	for i := range clusterDevices {
		if devs.Get(fmt.Sprintf("dev%d_observed_state", i+1)) == "writeable" {
			n++
		}
	}
	if n < clusterDevices {
		return fmt.Errorf("%d of %d devices are in order", n, clusterDevices)
	}
	return nil
}
