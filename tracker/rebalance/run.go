package rebalance

import (
	"fmt"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Run is a rebalance as the settings have it.
type Run struct {
	// Host is the tracker that queues files; empty: no rebalance is on.
	Host   string
	Policy Policy
	State  State
	// Text is the state as it was read, by which one sees whether another has changed it.
	Text string
	// Stopping: an operator wants it to end.
	Stopping bool
	// Was is what the current device was before.
	Was Was
	// Waits says what it waits for, in words; empty: for nothing.
	Waits string
}

// Read reads a run out of all settings. An error is about the policy or the state, which
// are zero then; the rest counts all the same.
func Read(settings map[string]string) (Run, error) {
	r := Run{
		Host: settings[HostField], Text: settings[StateField], Stopping: settings[SignalField] == StopSignal,
		Was: ParseWas(settings[WasField]), Waits: settings[WaitsField],
	}
	p, err := Parse(settings[PolicyField])
	if err != nil {
		return r, fmt.Errorf("rebalance policy: %w", err)
	}
	s, err := ParseState(r.Text)
	if err != nil {
		return r, err
	}
	r.Policy, r.State = p, s
	return r, nil
}

// Was says what a device was before files were taken from it, as it is set to drain for
// that. It is a setting of its own, as peers would not expect it in the state; they leave
// it alone.
type Was struct {
	Dev mogile.DevID
	// State is what the device goes back to; empty when it has.
	State mogile.DevState
}

// Held reports whether the device is still to go back.
func (w Was) Held() bool { return w.State != "" }

func (w Was) String() string {
	if w.Dev == 0 {
		return ""
	}
	return strings.TrimRight(w.Dev.String()+" "+string(w.State), " ")
}

// ParseWas reads what String has written. What is neither is nothing: it is an operator's
// to say what a device is to be then.
func ParseWas(text string) Was {
	number, word, _ := strings.Cut(text, " ")
	dev, err := mogile.ParseDevID(number)
	if err != nil {
		return Was{}
	}
	w := Was{Dev: dev}
	if state, err := mogile.ParseDevState(word); err == nil {
		w.State = state
	}
	return w
}

// Over reports whether nothing is left to be queued.
func (r Run) Over() bool {
	if r.State.Current != 0 {
		return false
	}
	limit := r.Policy.Limit
	return len(r.State.Sources) == 0 || limit.Global && r.State.Allowance(limit).Spent(limit.By)
}

// Prefer has a source come next.
func (s *State) Prefer(dev mogile.DevID) {
	rest := []mogile.DevID{dev}
	for _, d := range s.Sources {
		if d != dev {
			rest = append(rest, d)
		}
	}
	s.Sources = rest
}

// Since is when a run was started last, and how many files had been worked on by then: a
// rate is counted from there.
type Since struct{ Time, Done int64 }

func (s Since) String() string { return fmt.Sprint(s.Time, " ", s.Done) }

// Progress is how far a run is.
type Progress struct {
	// Queued files wait to be moved, Done were worked on, whether they could be moved
	// or not.
	Queued, Done int64
	// Rate is files done in a second since the run was started; 0 when that is not
	// known, or nothing is left to do.
	Rate float64
}

// Progress tells how far a run is, with what the settings say of its start and so many
// rows in the queue.
func (r Run) Progress(since string, queued, now int64) Progress {
	p := Progress{Queued: queued, Done: max(0, r.State.FIDs-queued)}
	var s Since
	_, err := fmt.Sscan(since, &s.Time, &s.Done)
	if took := now - s.Time; err == nil && took > 0 && (queued > 0 || r.Host != "") {
		p.Rate = max(0, float64(r.State.FIDs-queued-s.Done)/float64(took))
	}
	return p
}
