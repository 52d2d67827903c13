package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

const (
	// checksAtOnce is how many nodes are asked at a time.
	checksAtOnce = 16
	// maxUsage is more than a usage file has.
	maxUsage = 64 << 10
)

// checkJSON is what a check found, in JSON.
type checkJSON struct {
	OK       bool          `json:"ok"`
	Trackers []checked     `json:"trackers"`
	Hosts    []checked     `json:"hosts"`
	Devices  []checkedDisk `json:"devices"`
}

// checked is something that was asked. Trouble is why it is not well; Skipped why it was
// not asked.
type checked struct {
	Name    string        `json:"name"`
	ID      mogile.HostID `json:"hostid,omitempty"`
	OK      bool          `json:"ok"`
	Trouble string        `json:"trouble,omitempty"`
	Skipped string        `json:"skipped,omitempty"`
}

// checkedDisk is a device with the sizes of its usage file, in KiB.
type checkedDisk struct {
	checked
	Device      mogile.DevID `json:"devid"`
	Total       int64        `json:"kb_total"`
	Used        int64        `json:"kb_used"`
	Available   int64        `json:"kb_available"`
	Observed    string       `json:"observed_state"`
	Utilization string       `json:"utilization"`
}

func (d checkedDisk) use() float64 { return 100 - float64(d.Available)/float64(d.Total)*100 }

// checker is a check under way. What it finds is written as it comes.
type checker struct {
	c     *frame.Call
	w     io.Writer
	paint screen.Paint
	nodes *http.Client
	found checkJSON
}

func check(ctx context.Context, c *frame.Call) error {
	timeout, err := c.Timeout()
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: checksAtOnce}
	defer transport.CloseIdleConnections()
	k := &checker{c: c, w: c.Stdout, paint: c.Paint(), nodes: &http.Client{Transport: transport, Timeout: timeout}}
	if c.Given("json") {
		k.w = io.Discard
	}
	k.found = checkJSON{OK: true, Trackers: []checked{}, Hosts: []checked{}, Devices: []checkedDisk{}}
	err = k.run(ctx)
	if c.Given("json") {
		k.found.OK = k.found.OK && err == nil
		if shown := c.Show(frame.Listing{JSON: k.found}); shown != nil {
			return shown
		}
	}
	if err == nil && !k.found.OK {
		return &frame.Failure{} // it has been said above
	}
	return err
}

func (k *checker) run(ctx context.Context) error {
	fmt.Fprintln(k.w, "Checking trackers...")
	if !k.trackers(ctx) {
		return frame.Fail("", errors.New("no tracker answered"), "asked %s: see whether they run, and name others with --trackers=host:port,...",
			strings.Join(k.c.Addresses(), ", "))
	}
	list, err := hosts(ctx, k.c)
	if err != nil {
		return err
	}
	devs, err := devices(ctx, k.c)
	if err != nil {
		return err
	}
	fmt.Fprintln(k.w, "\nChecking hosts...")
	alive := k.hosts(ctx, list)
	fmt.Fprintln(k.w, "\nChecking devices...")
	k.devices(ctx, list, devs, alive)
	if len(alive) == 0 {
		return frame.Fail("", errors.New("no host answered"), "see whether the storage nodes run, and %s", k.c.Line("host list"))
	}
	return nil
}

// trackers reports whether any answered.
func (k *checker) trackers(ctx context.Context) bool {
	any := false
	for _, addr := range k.c.Addresses() {
		one := checked{Name: addr, OK: true}
		if err := k.tracker(ctx, addr); err != nil {
			one.OK, one.Trouble, k.found.OK = false, err.Error(), false
		}
		any = any || one.OK
		k.found.Trackers = append(k.found.Trackers, one)
		fmt.Fprintf(k.w, "  %s ... %s\n", addr, k.verdict(one.OK, "REQUEST FAILURE (is the tracker up?)"))
	}
	return any
}

func (k *checker) tracker(ctx context.Context, addr string) error {
	one, err := k.c.Dial(addr)
	if err != nil {
		return err
	}
	defer one.Close()
	_, err = one.Do(ctx, "get_hosts", protocol.Pairs{})
	return err
}

func (k *checker) verdict(ok bool, trouble string) string {
	if ok {
		return k.paint.Good("OK")
	}
	return k.paint.Bad(trouble)
}

// hosts returns those that answered.
func (k *checker) hosts(ctx context.Context, list []mogile.Host) map[mogile.HostID]bool {
	found := make([]checked, len(list))
	var group errgroup.Group
	group.SetLimit(checksAtOnce)
	for i, h := range list {
		group.Go(func() error {
			found[i] = k.host(ctx, h)
			return nil
		})
	}
	_ = group.Wait() // they return none
	alive := map[mogile.HostID]bool{}
	for _, one := range found {
		k.found.Hosts = append(k.found.Hosts, one)
		word := k.verdict(one.OK, one.Trouble)
		if one.Skipped != "" {
			word = one.Skipped
		} else if alive[one.ID] = one.OK; !one.OK {
			delete(alive, one.ID)
			k.found.OK = false
		}
		fmt.Fprintf(k.w, "  [%2d] %s ... %s\n", one.ID, one.Name, word)
	}
	return alive
}

func (k *checker) host(ctx context.Context, h mogile.Host) checked {
	one := checked{Name: string(h.Name), ID: h.ID}
	if h.State != mogile.HostAlive {
		one.Skipped = "skipping; status = " + string(h.State)
		return one
	}
	url := "http://" + mogile.HostAddr(h.IP, h.Port) + "/"
	if _, err := k.get(ctx, url); err != nil {
		one.Trouble = "REQUEST FAILURE FETCHING: " + url
		return one
	}
	one.OK = true
	return one
}

// get fetches something small.
func (k *checker) get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := k.nodes.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxUsage))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("answered %s", resp.Status)
	}
	return string(text), err
}

const checkLine = "  ---- ------------ ---------- ---------- ---------- ------"

// devices checks the devices on hosts that answered.
func (k *checker) devices(ctx context.Context, list []mogile.Host, devs []client.Device, alive map[mogile.HostID]bool) {
	var found []checkedDisk
	var urls []string
	for _, h := range list {
		for _, d := range devs {
			if d.Host == h.ID && alive[h.ID] && !d.State.Lost() {
				found = append(found, checkedDisk{
					checked: checked{Name: string(h.Name), ID: h.ID}, Device: d.ID, Observed: d.Observed, Utilization: d.Utilization,
				})
				urls = append(urls, "http://"+mogile.HostAddr(h.IP, h.ReadPort())+"/dev"+d.ID.String()+"/usage")
			}
		}
	}
	var group errgroup.Group
	group.SetLimit(checksAtOnce)
	for i := range found {
		group.Go(func() error {
			k.measure(ctx, &found[i], urls[i])
			return nil
		})
	}
	_ = group.Wait() // they return none
	fmt.Fprintf(k.w, "  host device         size(G)    used(G)    free(G)   use%%   ob state   I/O%%\n%s ---------- -----\n", checkLine)
	var sum checkedDisk
	for _, d := range found {
		k.found.Devices = append(k.found.Devices, d)
		if !d.OK {
			k.found.OK = false
			fmt.Fprintf(k.w, "  [%2d] %-12s %s\n", d.ID, "dev"+d.Device.String(), k.paint.Bad(d.Trouble))
			continue
		}
		sum.Total, sum.Used, sum.Available = sum.Total+d.Total, sum.Used+d.Used, sum.Available+d.Available
		fmt.Fprintf(k.w, "  [%2d] %-12s %s %s %5s\n", d.ID, "dev"+d.Device.String(), d.sizes(), k.observed(d.Observed), load(d.Utilization))
	}
	fmt.Fprintln(k.w, checkLine)
	if sum.Total > 0 {
		fmt.Fprintf(k.w, "             total: %s\n", sum.sizes())
	}
}

// observed is a state in its column, coloured.
func (k *checker) observed(state string) string {
	padded := fmt.Sprintf("%10s", state)
	return strings.Replace(padded, state, k.paint.State(state), 1)
}

func (d checkedDisk) sizes() string {
	return fmt.Sprintf("%9.3f  %9.3f  %9.3f %6.2f%%", gib(d.Total), gib(d.Used), gib(d.Available), d.use())
}

func gib(kib int64) float64 { return float64(kib) / (1 << 20) }

// load is a utilization to one digit.
func load(utilization string) string {
	busy, err := strconv.ParseFloat(utilization, 64)
	if err != nil {
		return "N/A"
	}
	return strconv.FormatFloat(busy, 'f', 1, 64)
}

// measure reads the device's usage file.
func (k *checker) measure(ctx context.Context, d *checkedDisk, url string) {
	text, err := k.get(ctx, url)
	if err != nil {
		d.Trouble = "REQUEST FAILURE FETCHING: " + url
		return
	}
	usage := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			usage[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	if len(usage) == 0 {
		d.Trouble = "USAGE FILE BROKEN OR EMPTY: " + url
		return
	}
	for _, field := range []struct {
		name string
		to   *int64
	}{{"available", &d.Available}, {"device", nil}, {"disk", nil}, {"time", nil}, {"total", &d.Total}, {"used", &d.Used}} {
		value, ok := usage[field.name]
		if !ok {
			d.Trouble = "MISSING FIELD (" + field.name + ") FROM USAGE FILE: " + url
			return
		}
		if field.to != nil {
			*field.to = protocol.Num(value)
		}
	}
	if d.Total <= 0 {
		d.Trouble = "USAGE FILE BROKEN OR EMPTY: " + url
		return
	}
	d.OK = true
}
