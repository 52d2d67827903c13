package tracker

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// version is that of the reference whose protocol this is: operators' tools parse
// it and decide by it.
const version = "2.73"

// adminFunc appends the answer to an operator's command; line begins behind the !
// (docs/spec/tracker-protocol.md §9).
type adminFunc func(b []byte, line string, t traffic) []byte

// traffic is what the line server has counted since it started, or has before it
// now.
type traffic struct {
	uptime time.Duration
	// pending requests wait for one of the running to finish; bored is how many
	// more could run.
	pending, processing, bored int64
	queries                    int64
	// full is how often a request had to wait, refused how many connections were
	// too many.
	full, refused int64
}

// JobStatus is how many workers a job has, and is wanted to have.
type JobStatus struct {
	Name           string
	Count, Desired int
}

// jobCounter knows all jobs there are.
type jobCounter interface{ jobCounts() []JobStatus }

const adminHelp = "Available commands:\n" +
	"  !version\n" +
	"  !stats\n" +
	"  !jobs\n"

// newAdmin returns the answers to operators.
func newAdmin(jobs jobCounter) adminFunc {
	return func(b []byte, line string, t traffic) []byte {
		switch {
		case strings.HasPrefix(line, "version"):
			b = append(b, version+"\r\n"...)
		case line == "stats":
			b = appendStats(b, t)
		case strings.HasPrefix(line, "jobs"):
			b = appendJobs(b, jobs.jobCounts(), t)
		default:
			b = append(b, adminHelp...)
		}
		return append(b, ".\r\n"...)
	}
}

// appendStats shows counters only once they count something, as monitoring is
// used to.
func appendStats(b []byte, t traffic) []byte {
	b = fmt.Appendf(b, "uptime %d\r\n", int64(t.uptime.Seconds()))
	b = fmt.Appendf(b, "pending_queries %d\r\n", t.pending)
	b = fmt.Appendf(b, "processing_queries %d\r\n", t.processing)
	b = fmt.Appendf(b, "bored_queryworkers %d\r\n", t.bored)
	for _, counter := range []struct {
		name string
		n    int64
	}{
		{"connections_refused", t.refused},
		{"queries", t.queries},
		{"times_out_of_qworkers", t.full},
	} {
		if counter.n > 0 {
			b = fmt.Appendf(b, "%s %d\r\n", counter.name, counter.n)
		}
	}
	return b
}

// appendJobs gives every job the one process id there is, once. To operators, those
// that answer requests are a job like any other.
func appendJobs(b []byte, jobs []JobStatus, t traffic) []byte {
	workers := int(t.processing + t.bored)
	jobs = append(slices.Clone(jobs), JobStatus{Name: "queryworker", Count: workers, Desired: workers})
	slices.SortFunc(jobs, func(a, b JobStatus) int { return cmp.Compare(a.Name, b.Name) })
	for _, j := range jobs {
		b = fmt.Appendf(b, "%s count %d\r\n", j.Name, j.Count)
		b = fmt.Appendf(b, "%s desired %d\r\n", j.Name, j.Desired)
		b = fmt.Appendf(b, "%s pids", j.Name)
		if j.Count > 0 {
			b = fmt.Appendf(b, " %d", os.Getpid())
		}
		b = append(b, "\r\n"...)
	}
	return b
}
