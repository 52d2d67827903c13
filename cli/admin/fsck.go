package admin

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func fsck() *frame.Command {
	return &frame.Command{Name: "fsck", Short: "The check of all files", Sub: []*frame.Command{
		{Name: "start", Short: "Begin, or go on", Run: simple("Error starting fsck", "fsck started.", "fsck_start")},
		{Name: "stop", Short: "Stop; a start goes on from there", Run: simple("Error stopping fsck", "fsck stopped.", "fsck_stop")},
		{Name: "status", Short: "Tell how far it is and what it has found", Run: fsckStatus},
		{Name: "reset", Short: "Set it back to the first file", Run: fsckReset, Options: []frame.Option{
			{Name: "policy-only", Help: "check where copies are, but not the copies"},
			{Name: "startpos", Value: "fid", Help: "the last fid that is not checked"},
		}},
		{Name: "clearlog", Short: "Empty the log", Run: simple("Error clearing fsck log", "fsck log cleared.", "fsck_clearlog")},
		{Name: "printlog", Short: "Write the log", Run: fsckPrintLog},
		{Name: "taillog", Short: "Write the end of the log, and what comes, until it is interrupted", Run: fsckTailLog},
	}}
}

// simple is a command without arguments.
func simple(doing, done, command string) func(context.Context, *frame.Call) error {
	return func(ctx context.Context, c *frame.Call) error {
		return change(ctx, c, doing, done, command, protocol.Pairs{})
	}
}

func fsckReset(ctx context.Context, c *frame.Call) error {
	policyOnly := "0"
	if c.Given("policy-only") {
		policyOnly = "1"
	}
	startpos := cmp.Or(c.Option("startpos"), "0")
	if strings.Trim(startpos, "0123456789") != "" {
		return fmt.Errorf("startpos %q: want a fid, a number from 0 up", startpos)
	}
	return change(ctx, c, "Error resetting fsck", "fsck reset.", "fsck_reset", pairs("policy_only", policyOnly, "startpos", startpos))
}

// fsckFields are the keys of fsck_status that have lines of their own.
var fsckFields = []string{
	"running", "host", "max_fid_checked", "policy_only", "end_fid", "start_time", "stop_time", "current_time", "max_logid",
}

func fsckStatus(ctx context.Context, c *frame.Call) error {
	v, err := ask(ctx, c, "Error fetching fsck status", "fsck_status", protocol.Pairs{})
	if err != nil {
		return err
	}
	return c.Show(frame.Listing{JSON: v, Plain: func(w io.Writer) { writeFsck(w, v) }})
}

func writeFsck(w io.Writer, v protocol.Values) {
	num := func(key string) int64 { return protocol.Num(v[key]) }
	running := "No"
	if num("running") != 0 {
		running = "Yes (on " + v["host"] + ")"
	}
	kind := "Normal (check policy + files)"
	if num("policy_only") != 0 {
		kind = "Repl policy only (skip file checks)"
	}
	checked, end := num("max_fid_checked"), num("end_fid")
	share := 0.0
	if end > 0 {
		share = float64(checked) / float64(end) * 100
	}
	// A stopped run took until it stopped.
	until := num("current_time")
	if num("running") == 0 && num("stop_time") > 0 {
		until = num("stop_time")
	}
	elapsed := max(until-num("start_time"), 0)
	if num("start_time") == 0 {
		elapsed = 0
	}
	speed := int64(0)
	if elapsed > 0 {
		speed = checked / elapsed
	}
	remain := int64(0)
	if speed > 0 {
		remain = max(end-checked, 0) / speed
	}
	fmt.Fprintf(w, "\n%11s: %s\n%11s: %d / %d (%.2f%%)\n", "Running", running, "Status", checked, end, share)
	fmt.Fprintf(w, "%11s: %s (%d fids/s; %s remain)\n", "Time", seconds(elapsed), speed, seconds(remain))
	fmt.Fprintf(w, "%11s: %s\n\n", "Check Type", kind)
	for _, key := range slices.Sorted(maps.Keys(v)) {
		if !slices.Contains(fsckFields, key) {
			fmt.Fprintf(w, "%11s: %s\n", "["+key+"]", v[key])
		}
	}
}

func seconds(n int64) string { return screen.Duration(time.Duration(n) * time.Second) }

// event is a row of the log.
type event struct {
	LogID int64  `json:"logid"`
	Time  int64  `json:"unixtime"`
	Code  string `json:"event"`
	FID   string `json:"fid,omitempty"`
	Dev   string `json:"devid,omitempty"`
}

func (e event) write(w io.Writer) {
	fmt.Fprintf(w, "%-20d %5s %13s %10s\n", e.Time, e.Code, cmp.Or(e.FID, "-"), cmp.Or(e.Dev, "-"))
}

// events are some rows behind a number: those of one answer.
func events(ctx context.Context, c *frame.Call, after int64) ([]event, error) {
	v, err := ask(ctx, c, "Error fetching fsck log", "fsck_getlog", pairs("after_logid", strconv.FormatInt(after, 10)))
	if err != nil {
		return nil, err
	}
	var list []event
	for i := int64(1); i <= protocol.Num(v["row_count"]); i++ {
		get := func(field string) string { return v["row_"+strconv.FormatInt(i, 10)+"_"+field] }
		list = append(list, event{protocol.Num(get("logid")), protocol.Num(get("utime")), get("evcode"), get("fid"), get("devid")})
	}
	return list, nil
}

const logHeader = "unixtime             event           fid      devid\n"

func fsckPrintLog(ctx context.Context, c *frame.Call) error {
	if c.Given("json") {
		all := []event{}
		_, err := eachEvent(ctx, c, 0, func(e event) { all = append(all, e) })
		if err != nil {
			return err
		}
		return c.Show(frame.Listing{JSON: all})
	}
	fmt.Fprint(c.Stdout, logHeader)
	_, err := eachEvent(ctx, c, 0, func(e event) { e.write(c.Stdout) })
	return err
}

// eachEvent calls f for all rows behind a number, and returns the last number.
func eachEvent(ctx context.Context, c *frame.Call, after int64, f func(event)) (int64, error) {
	for {
		list, err := events(ctx, c, after)
		if err != nil || len(list) == 0 || list[len(list)-1].LogID <= after {
			return after, err
		}
		for _, e := range list {
			f(e)
		}
		after = list[len(list)-1].LogID
	}
}

const (
	// tailBack is how many rows a tail begins with.
	tailBack = 20
	// tailEvery is how often it looks for more.
	tailEvery = 5 * time.Second
)

func fsckTailLog(ctx context.Context, c *frame.Call) error {
	v, err := ask(ctx, c, "Error fetching fsck status", "fsck_status", protocol.Pairs{})
	if err != nil {
		return err
	}
	after := max(protocol.Num(v["max_logid"])-tailBack, 0)
	fmt.Fprint(c.Stdout, logHeader)
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		after, err = eachEvent(ctx, c, after, func(e event) { e.write(c.Stdout) })
		if ctx.Err() != nil {
			return nil // that is how it ends
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
