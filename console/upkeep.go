package console

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
)

// Fsck is how the check of all files is getting on.
type Fsck struct {
	Running bool `json:"running"`
	// Host is the tracker that queues files.
	Host       string `json:"host"`
	PolicyOnly bool   `json:"policy_only"`
	// Highest is the last fid that was queued, End the last that is to be.
	Highest mogile.FID `json:"max_fid_checked"`
	End     mogile.FID `json:"end_fid"`
	// The times are unix times of the database, 0 means never.
	Started int64 `json:"start_time"`
	Stopped int64 `json:"stop_time"`
	Now     int64 `json:"current_time"`
	// Checked and Waiting files are of this run; null when the tracker does not count
	// them.
	Checked   *int64   `json:"files_checked"`
	Waiting   *int64   `json:"files_waiting"`
	PerSecond *float64 `json:"files_per_second"`
	// Counts is how often each code was logged.
	Counts map[string]int64 `json:"counts"`
}

// Fsck asks how the check is getting on.
func (c *Console) Fsck(ctx context.Context) (Fsck, error) {
	v, err := c.do(ctx, "fsck_status")
	if err != nil {
		return Fsck{}, err
	}
	f := Fsck{
		Running: protocol.Truthy(v["running"]), Host: v["host"], PolicyOnly: protocol.Truthy(v["policy_only"]),
		Highest: mogile.FID(protocol.Num(v["max_fid_checked"])), End: mogile.FID(protocol.Num(v["end_fid"])),
		Started: protocol.Num(v["start_time"]), Stopped: protocol.Num(v["stop_time"]), Now: protocol.Num(v["current_time"]),
		Checked: optional(v, "files_checked"), Waiting: optional(v, "files_waiting"),
		Counts: map[string]int64{},
	}
	if rate, err := strconv.ParseFloat(v["files_per_second"], 64); err == nil {
		f.PerSecond = &rate
	}
	for name, value := range v {
		if code, ok := strings.CutPrefix(name, "num_"); ok {
			f.Counts[code] = protocol.Num(value)
		}
	}
	return f, nil
}

func optional(v protocol.Values, name string) *int64 {
	text, given := v[name]
	if !given {
		return nil
	}
	n := protocol.Num(text)
	return &n
}

// FsckReset is where a check is to begin.
type FsckReset struct {
	// PolicyOnly has it not look at the copies themselves.
	PolicyOnly bool `json:"policy_only"`
	// StartPos is the fid behind which it begins; 0 is the beginning.
	StartPos int64 `json:"startpos"`
}

// FsckEvent is what a check has found.
type FsckEvent struct {
	LogID  int64        `json:"logid"`
	Time   int64        `json:"utime"`
	FID    mogile.FID   `json:"fid,omitempty"`
	Code   string       `json:"evcode,omitempty"`
	Device mogile.DevID `json:"devid,omitempty"`
}

// FsckLog is a part of the log of checks, in order.
type FsckLog struct {
	Events []FsckEvent `json:"events"`
}

// FsckLog lists at most a hundred events with a greater number.
func (c *Console) FsckLog(ctx context.Context, after string) (FsckLog, error) {
	if _, err := strconv.ParseUint(cmp.Or(after, "0"), 10, 63); err != nil {
		return FsckLog{}, refuse(http.StatusBadRequest, "after %q: want the logid after which to begin", after)
	}
	v, err := c.do(ctx, "fsck_getlog", "after_logid", after)
	if err != nil {
		return FsckLog{}, err
	}
	l := FsckLog{Events: []FsckEvent{}}
	for i := int64(1); i <= protocol.Num(v["row_count"]); i++ {
		row := "row_" + strconv.FormatInt(i, 10) + "_"
		l.Events = append(l.Events, FsckEvent{
			LogID: protocol.Num(v[row+"logid"]), Time: protocol.Num(v[row+"utime"]), FID: mogile.FID(protocol.Num(v[row+"fid"])),
			Code: v[row+"evcode"], Device: mogile.DevID(protocol.Num(v[row+"devid"])),
		})
	}
	return l, nil
}

// Rebalance is how the rebalance is getting on.
type Rebalance struct {
	Running bool `json:"running"`
	// Host is the tracker that queues files.
	Host string `json:"host"`
	// Queued files are to be moved yet, Done ones were, in the files per second of Rate.
	Queued int64   `json:"queued"`
	Done   int64   `json:"done"`
	Rate   float64 `json:"rate"`
	// Waits is what it waits for, empty for nothing.
	Waits string `json:"waits,omitempty"`
	// Policy is what moves where; empty when none is set.
	Policy string `json:"policy"`
	// State is what the run remembers, by its names; none before the first run.
	State map[string]string `json:"state,omitempty"`
}

// Rebalance asks how the rebalance is getting on. That none was started is not an error.
func (c *Console) Rebalance(ctx context.Context) (Rebalance, error) {
	var r Rebalance
	policy, err := c.setting(ctx, rebalance.PolicyField)
	if err != nil {
		return r, err
	}
	r.Policy = policy
	v, err := c.do(ctx, "rebalance_status")
	if errors.Is(err, protocol.NoRebalState) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.Running, r.Host, r.Waits = protocol.Truthy(v["running"]), v["host"], v["waits"]
	r.Queued, r.Done = protocol.Num(v["queued"]), protocol.Num(v["done"])
	r.Rate, _ = strconv.ParseFloat(v["rate"], 64) // 0 when it is not known
	r.State = map[string]string{}
	for _, word := range strings.Fields(v["state"]) {
		name, value, _ := strings.Cut(word, "=")
		r.State[name] = value
	}
	return r, nil
}

// setting is a setting of the server, empty when it is unset.
func (c *Console) setting(ctx context.Context, name string) (string, error) {
	v, err := c.do(ctx, "server_setting", "key", name)
	return v["value"], err
}

// Moves is what a rebalance that begins now would do.
type Moves struct {
	From []string `json:"from_devids"`
	To   []string `json:"to_devids"`
}

// RebalanceTest says what a rebalance would do.
func (c *Console) RebalanceTest(ctx context.Context) (Moves, error) {
	v, err := c.do(ctx, "rebalance_test")
	if err != nil {
		return Moves{}, err
	}
	return Moves{From: devices(v["sdevs"]), To: devices(v["ddevs"])}, nil
}

func devices(list string) []string {
	return append([]string{}, strings.FieldsFunc(list, func(r rune) bool { return r == ',' })...)
}

// Policy is a rebalance policy, such as from_percent_used=90; empty removes the one there is.
type Policy struct {
	Policy *string `json:"policy"`
}

// Setting is a setting of all trackers.
type Setting struct {
	Name string `json:"name"`
	// Value is empty to unset it.
	Value string `json:"value"`
}

// Settings lists the settings by name.
func (c *Console) Settings(ctx context.Context) ([]Setting, error) {
	v, err := c.do(ctx, "server_settings")
	if err != nil {
		return nil, err
	}
	named := map[string]string{}
	for i := int64(1); i <= protocol.Num(v["key_count"]); i++ {
		n := strconv.FormatInt(i, 10)
		named[v["key_"+n]] = v["value_"+n]
	}
	all := []Setting{}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		all = append(all, Setting{name, named[name]})
	}
	return all, nil
}
