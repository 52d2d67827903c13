package fsck

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// The settings of a run.
const (
	// HostField names the tracker that queues files; the run is on while it is set.
	HostField = "fsck_host"

	startTime    = "fsck_start_time"
	stopTime     = "fsck_stop_time"
	highest      = "fsck_highest_fid_checked"
	atEnd        = "fsck_fid_at_end"
	startFID     = "fsck_start_fid"
	fidsChecked  = "fsck_fids_checked" // files queued since the start; with peers 0
	policyOnly   = "fsck_opt_policy_only"
	startLogID   = "fsck_start_maxlogid"
	logProcessed = "fsck_logid_processed"
	sumPrefix    = "fsck_sum_evcount_"
)

// Run is a check of all files, under way or over.
type Run struct {
	// Host is the tracker that queues files, empty when none does.
	Host string
	// Highest is the last fid that was queued, End the last one to be.
	Highest, End mogile.FID
	// Queued is how many files were queued since the start. (Peers don't count them.)
	Queued int64
	// PolicyOnly: the copies themselves are not looked at.
	PolicyOnly bool
	// Started and Stopped are database unix times; 0 means never.
	Started, Stopped int64
	// Counts is how often each code was logged.
	Counts []Count
}

// Count is how often a code was logged.
type Count struct {
	Code Code
	N    int64
}

// Running reports whether files are being queued.
func (r Run) Running() bool { return r.Host != "" }

// Progress is how many of the queued files are checked when so many rows wait, and how
// many that are in a second. Files that could not be checked yet wait, too.
func (r Run) Progress(now, waiting int64) (checked int64, perSecond float64) {
	until := now
	if !r.Running() && r.Stopped > 0 {
		until = r.Stopped
	}
	checked = max(r.Queued-waiting, 0)
	return checked, float64(checked) / float64(max(until-r.Started, 1))
}

// complete reports whether a run came to its end.
func (r Run) complete() bool { return r.Highest != 0 && r.Highest >= r.End }

// Read is the run that the settings tell of. What is no number counts as 0.
func Read(settings map[string]string) Run {
	r := Run{
		Host: settings[HostField], Queued: number(settings[fidsChecked]),
		Highest: mogile.FID(number(settings[highest])), End: mogile.FID(number(settings[atEnd])),
		PolicyOnly: PolicyOnly(func(field string) string { return settings[field] }),
		Started:    number(settings[startTime]), Stopped: number(settings[stopTime]),
	}
	for _, field := range slices.Sorted(maps.Keys(settings)) {
		if code, ok := strings.CutPrefix(field, sumPrefix); ok {
			r.Counts = append(r.Counts, Count{Code: Code(code), N: number(settings[field])})
		}
	}
	return r
}

// PolicyOnly reports whether the copies themselves are to be left alone.
func PolicyOnly(setting func(field string) string) bool {
	only := setting(policyOnly)
	return only != "" && only != "0"
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Facts is what counts beside the settings.
type Facts struct {
	// Now is database unix time.
	Now int64
	// MaxFID is the highest fid of a visible file, MaxLogID the last row of the log;
	// 0 means none.
	MaxFID   mogile.FID
	MaxLogID int64
}

// Changes is settings to be set and to be unset.
type Changes struct {
	Set   map[string]string
	Unset []string
}

// Start begins a run, or goes on with one that was stopped. After one that came to its
// end only the files that came since are checked; [Reset] begins anew.
func Start(settings map[string]string, host string, f Facts) Changes {
	c := Changes{Set: map[string]string{}}
	r := Read(settings)
	if r.End == 0 || r.complete() {
		c = forget(settings, f)
	}
	c.Set[HostField] = host
	c.Set[startTime] = strconv.FormatInt(f.Now, 10)
	c.Set[startFID] = r.Highest.String()
	c.Set[fidsChecked] = "0"
	c.Unset = append(c.Unset, stopTime)
	return c
}

// Stop ends a run. What is queued already is checked all the same.
func Stop(now int64) Changes {
	return Changes{Set: map[string]string{stopTime: strconv.FormatInt(now, 10)}, Unset: []string{HostField}}
}

// Reset makes a run begin behind a fid, with all counts at 0; it goes on if it is
// under way. onlyPolicy leaves the copies themselves alone.
func Reset(settings map[string]string, behind mogile.FID, onlyPolicy bool, f Facts) Changes {
	c := forget(settings, f)
	c.Set[highest] = behind.String()
	if onlyPolicy {
		c.Set[policyOnly] = "1"
	} else {
		c.Unset = append(c.Unset, policyOnly)
	}
	return c
}

// forget sets the end anew and all counts back. Both fields that say where the log is to
// be counted from are set: peers go by either.
func forget(settings map[string]string, f Facts) Changes {
	logID := strconv.FormatInt(f.MaxLogID, 10)
	c := Changes{Set: map[string]string{atEnd: f.MaxFID.String(), startLogID: logID, logProcessed: logID}}
	for _, field := range slices.Sorted(maps.Keys(settings)) {
		if strings.HasPrefix(field, sumPrefix) {
			c.Unset = append(c.Unset, field)
		}
	}
	return c
}
