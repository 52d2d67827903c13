package rebalance

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// State is how far a rebalance has come. Its text is the setting rebal_state.
type State struct {
	// Completed are done with, Sources still to come.
	Completed, Sources []mogile.DevID
	// Current is the device that files are taken from now, 0 between two of them.
	// LastFID is the last one of it that was looked at, Left what the limit per device
	// leaves of it; both mean nothing between devices.
	Current mogile.DevID
	LastFID mogile.FID
	Left    Allowance
	// GlobalLeft is what a global limit leaves.
	GlobalLeft int64
	// FIDs and Bytes is what was queued to be moved.
	FIDs, Bytes int64
	// Unix times of the database; 0 means never.
	Started, Finished, Stopped, LatestRun, LatestEmptyRun int64
	// EmptyRuns is how many passes found nothing to queue.
	EmptyRuns int64
}

// Allowance is how much may still be moved. The zero Allowance is nothing.
type Allowance struct {
	Unlimited bool
	N         int64 // files or bytes
}

// unlimited is how an allowance without end is written.
const unlimited = "none"

func (a Allowance) String() string {
	if a.Unlimited {
		return unlimited
	}
	return strconv.FormatInt(a.N, 10)
}

// Begin is the state of a rebalance that starts now. (The peer forgets to set a global
// limit, and then moves nothing.)
func (p Policy) Begin(sources []mogile.DevID, now int64) State {
	s := State{Sources: sources, Started: now}
	if p.Limit.Global && !p.Limit.None() {
		s.GlobalLeft = p.Limit.Most
	}
	return s
}

// Takes reports whether files are, will be or were taken from a device.
func (s State) Takes(dev mogile.DevID) bool {
	return dev == s.Current || slices.Contains(s.Sources, dev) || slices.Contains(s.Completed, dev)
}

// smallestRest is the number of bytes that is not worth looking for a file that fits
// (docs/spec/jobs.md §8.4).
const smallestRest = 1024

// Allowance is what the policy's limit leaves of the current device.
func (s State) Allowance(l Limit) Allowance {
	switch {
	case l.None():
		return Allowance{Unlimited: true}
	case l.Global:
		return Allowance{N: s.GlobalLeft}
	default:
		return s.Left
	}
}

// Spent reports whether the limit leaves nothing worth looking for.
func (a Allowance) Spent(by LimitBy) bool {
	switch {
	case a.Unlimited:
		return false
	case by == BySize:
		return a.N < smallestRest
	default:
		return a.N <= 0
	}
}

// Queue counts a file of some bytes against the limit, and as queued; false: it does not
// fit, and nothing is counted.
func (s *State) Queue(l Limit, bytes int64) bool {
	cost := int64(1)
	if l.By == BySize {
		cost = bytes
	}
	left := s.Allowance(l)
	if !left.Unlimited && left.N < cost {
		return false
	}
	switch {
	case left.Unlimited:
	case l.Global:
		s.GlobalLeft -= cost
	default:
		s.Left.N -= cost
	}
	s.FIDs++
	s.Bytes += bytes
	return true
}

// Next makes the next source the current device; false: there is none.
func (s *State) Next(l Limit) bool {
	if len(s.Sources) == 0 {
		return false
	}
	s.Current, s.Sources = s.Sources[0], s.Sources[1:]
	s.LastFID = 0
	s.Left = Allowance{Unlimited: l.None() || l.Global}
	if !s.Left.Unlimited {
		s.Left.N = l.Most
	}
	return true
}

// Complete is done with the current device.
func (s *State) Complete() {
	s.Completed = append(s.Completed, s.Current)
	s.Current, s.LastFID, s.Left = 0, 0, Allowance{}
}

// String is the state as the peer reads it too.
func (s State) String() string {
	pairs := []string{
		"completed_devs=" + joinIDs(s.Completed),
		"source_devs=" + joinIDs(s.Sources),
	}
	if s.Current != 0 {
		pairs = append(pairs, "sdev_current="+s.Current.String(), "sdev_lastfid="+s.LastFID.String(), "sdev_limit="+s.Left.String())
	}
	for _, n := range s.numbers() {
		pairs = append(pairs, n.name+"="+strconv.FormatInt(*n.at, 10))
	}
	return strings.Join(pairs, " ")
}

type number struct {
	name string
	at   *int64
}

// numbers is the numbers that every state has, by name.
func (s *State) numbers() []number {
	return []number{
		{"limit", &s.GlobalLeft}, {"fids_queued", &s.FIDs}, {"bytes_queued", &s.Bytes},
		{"time_started", &s.Started}, {"time_finished", &s.Finished}, {"time_stopped", &s.Stopped},
		{"time_latest_run", &s.LatestRun}, {"time_latest_empty_run", &s.LatestEmptyRun}, {"empty_runs", &s.EmptyRuns},
	}
}

// ParseState reads what String or a peer has written. What is missing is 0; names that
// nobody knows are passed over.
func ParseState(text string) (State, error) {
	var s State
	for _, word := range words(text) {
		name, value, _ := strings.Cut(word, "=")
		if err := s.read(name, value); err != nil {
			return State{}, fmt.Errorf("rebalance state: %s=%s: %w", name, value, err)
		}
	}
	if s.Current == 0 {
		s.LastFID, s.Left = 0, Allowance{}
	}
	return s, nil
}

func (s *State) read(name, value string) (err error) {
	switch name {
	case "completed_devs":
		return readIDs(value, &s.Completed)
	case "source_devs":
		return readIDs(value, &s.Sources)
	case "sdev_current":
		s.Current, err = parseOptional(value, mogile.ParseDevID)
		return err
	case "sdev_lastfid":
		s.LastFID, err = parseOptional(value, mogile.ParseFID)
		return err
	case "sdev_limit":
		s.Left.Unlimited = value == unlimited
		if s.Left.Unlimited {
			return nil
		}
		s.Left.N, err = parseCount(value)
		return err
	}
	for _, n := range s.numbers() {
		if n.name == name {
			*n.at, err = parseCount(value)
		}
	}
	return err
}

// parseOptional takes nothing and 0 for none.
func parseOptional[T any](value string, parse func(string) (T, error)) (none T, err error) {
	if value == "" || value == "0" {
		return none, nil
	}
	return parse(value)
}

// parseCount reads a number as a peer writes it: great ones may have a fraction or an
// exponent.
func parseCount(value string) (int64, error) {
	if value == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || math.Abs(f) >= math.MaxInt64 || math.IsNaN(f) {
		return 0, fmt.Errorf("want a number")
	}
	return int64(f), nil
}
