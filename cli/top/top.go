package top

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// defaultInterval is how often the screen is drawn.
const defaultInterval = 2 * time.Second

// Command is top.
func Command() *frame.Command {
	return &frame.Command{
		Name: "top", Short: "Watch trackers, queues, hosts and devices, until Ctrl-C",
		Long: "Without a terminal, or with --once, it looks once.",
		Run:  run,
		Options: []frame.Option{
			{Name: "interval", Value: "seconds", Help: "how often it looks; 2 by default"},
			{Name: "once", Help: "look once, and don't take the screen"},
		},
	}
}

// The sequences that take a terminal's screen and give it back, and begin a drawing at its
// top.
const (
	takeScreen = "\x1b[?1049h\x1b[?25l"
	giveScreen = "\x1b[?25h\x1b[?1049l"
	home       = "\x1b[H"
	endOfLine  = "\x1b[K"
	clearBelow = "\x1b[J"
)

func run(ctx context.Context, c *frame.Call) error {
	interval := defaultInterval
	if s := c.Option("interval"); s != "" {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil || seconds < 0.1 || seconds > time.Hour.Seconds() {
			return fmt.Errorf("interval %q: want seconds, from 0.1 to %g", s, time.Hour.Seconds())
		}
		interval = time.Duration(seconds * float64(time.Second))
	}
	trackers, err := c.Trackers()
	if err != nil {
		return err
	}
	if c.Given("once") || !c.OutTerminal {
		now := take(ctx, c, trackers)
		fmt.Fprint(c.Stdout, strings.Join(now.lines(look{}, c.Paint()), "\n")+"\n")
		return now.err
	}
	fmt.Fprint(c.Stdout, takeScreen)
	defer fmt.Fprint(c.Stdout, giveScreen)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var before look
	for {
		now := take(ctx, c, trackers)
		if ctx.Err() != nil {
			return nil // that is how it ends
		}
		draw(c, now.lines(before, c.Paint()))
		before = now
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// draw writes what fits on the screen, over what was there.
func draw(c *frame.Call, lines []string) {
	if c.Size != nil {
		if _, rows := c.Size(); rows > 1 && len(lines) > rows-1 {
			lines = append(lines[:rows-2:rows-2], fmt.Sprintf("… %d lines more", len(lines)-rows+2))
		}
	}
	_, _ = io.WriteString(c.Stdout, home+strings.Join(lines, endOfLine+"\r\n")+endOfLine+clearBelow)
}

// look is what was seen at one moment.
type look struct {
	at       time.Time
	trackers []string
	counters []counters // of the trackers
	hosts    []mogile.Host
	devices  []client.Device
	err      error // of hosts and devices
}

// take asks all trackers at once.
func take(ctx context.Context, c *frame.Call, trackers *client.Client) look {
	l := look{at: time.Now(), trackers: c.Addresses()}
	l.counters = make([]counters, len(l.trackers))
	var asking sync.WaitGroup
	for i, address := range l.trackers {
		asking.Go(func() { l.counters[i] = ask(ctx, c, address) })
	}
	if l.hosts, l.err = trackers.Hosts(ctx); l.err == nil {
		l.devices, l.err = trackers.Devices(ctx)
	}
	asking.Wait()
	if l.err != nil {
		l.err = frame.Fail("Error fetching devices", l.err, "")
	}
	slices.SortFunc(l.hosts, func(a, b mogile.Host) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(l.devices, func(a, b client.Device) int { return cmp.Compare(a.ID, b.ID) })
	return l
}

// before is the counters of the same tracker.
func (l look) before(i int) counters {
	if i < len(l.counters) {
		return l.counters[i]
	}
	return counters{}
}

// lines is the screen.
func (l look) lines(before look, p screen.Paint) []string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %d hosts, %d devices\n\n", p.Strong("MogileFS at "+l.at.Format(time.TimeOnly)), len(l.hosts), len(l.devices))
	l.trackerTable(before, p).Write(&b)
	b.WriteString("\n")
	if queues := l.queueTable(before); len(queues.Rows) > 0 {
		queues.Write(&b)
		b.WriteString("\n")
	}
	if l.err != nil {
		fmt.Fprintln(&b, p.Bad(l.err.Error()))
	} else {
		l.deviceTable(p).Write(&b)
	}
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

func (l look) trackerTable(before look, p screen.Paint) screen.Table {
	t := screen.Table{
		Header: []string{"TRACKER", "STATE", "UP", "REQUESTS/S", "WAITING", "AT WORK", "CONNECTIONS"}, Right: []int{2, 3, 4, 5, 6},
	}
	for i, address := range l.trackers {
		now := l.counters[i]
		if now.err != nil {
			t.Add(address, p.Bad(now.err.Error()), "", "", "", "", "")
			continue
		}
		t.Add(address, p.Good("OK"), screen.Duration(time.Duration(now.counts["uptime"])*time.Second), rate(before.before(i), now, "queries"),
			fmt.Sprint(now.counts["pending_queries"]), fmt.Sprint(now.counts["processing_queries"]), fmt.Sprint(now.counts["connections"]))
	}
	return t
}

func (l look) queueTable(before look) screen.Table {
	t := screen.Table{Header: []string{"TRACKER", "JOB", "QUEUE", "DONE/S", "DONE"}, Right: []int{2, 3, 4}}
	for i, address := range l.trackers {
		now := l.counters[i]
		for _, job := range jobs(now) {
			t.Add(address, job, fmt.Sprint(now.counts[queueFor+job]), rate(before.before(i), now, sentTo+job), fmt.Sprint(now.counts[sentTo+job]))
		}
	}
	return t
}

// barWidth is how long a full device's bar is.
const barWidth = 20

func (l look) deviceTable(p screen.Paint) screen.Table {
	t := screen.Table{Header: []string{"HOST", "STATUS", "DEVICE", "STATUS", "OBSERVED", "USED", "TOTAL", "FILL", "", "I/O%"}, Right: []int{5, 6, 8, 9}}
	for _, h := range l.hosts {
		none := true
		for _, d := range l.devices {
			if d.Host != h.ID || d.State.Lost() {
				continue
			}
			none = false
			share := 0.0
			if d.MBTotal > 0 {
				share = float64(d.MBUsed) / float64(d.MBTotal)
			}
			t.Add(string(h.Name), p.State(string(h.State)), "dev"+d.ID.String(), p.State(string(d.State)), p.State(cmp.Or(d.Observed, "-")),
				screen.Bytes(d.MBUsed<<20), screen.Bytes(d.MBTotal<<20), screen.Bar(share, barWidth), fmt.Sprintf("%.1f%%", share*100), cmp.Or(d.Utilization, "-"))
		}
		if none {
			t.Add(string(h.Name), p.State(string(h.State)), "none", "", "", "", "", "", "", "")
		}
	}
	return t
}
