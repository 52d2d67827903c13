package tracker

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// version is that of the reference whose protocol this is: operators' tools parse
// it and decide by it.
const version = "2.73"

// queryWorker is, to operators, the job of answering requests. Its workers are places in
// the gate.
const queryWorker job.Name = "queryworker"

// staff is the jobs as operators see and change them; [job.Jobs] has the contract.
type staff interface {
	Looked() bool
	Status() []job.Status
	Want(name job.Name, n int)
	Tell(name job.Name, text string) int
}

// sequel is what follows an answer.
type sequel uint8

const (
	goOn sequel = iota
	beginWatching
	hangUp // instead of the answer
)

// order is one command of operators: what it appends to the answer, and what is to
// follow. args is what stands behind its name.
type order func(c *conversation, b []byte, args string) ([]byte, sequel)

// orders are known by how they begin (docs/spec/tracker-protocol.md §9); !stats is not
// among them, as it stands alone.
var orders = []struct {
	prefix string
	run    order
}{
	{"version", (*conversation).showVersion},
	{"jobs", (*conversation).showJobs},
	{"queue", (*conversation).showQueue},
	{"pend", (*conversation).showQueue},
	{"recent", (*conversation).showRecent},
	{"want", (*conversation).want},
	{"to", (*conversation).tell},
	{"watch", (*conversation).toggleWatch},
	{"shutdown", (*conversation).shutDown},
}

// operate answers a line of an operator, which begins behind the !.
func (c *conversation) operate(b []byte, line string) ([]byte, sequel) {
	if !c.mayAdminister("!" + firstWord(line)) {
		return fmt.Appendf(b, "ERROR: %s\r\n.\r\n", protocol.NotAllowed.Text()), goOn
	}
	b, next := findOrder(line)(c, b)
	return append(b, ".\r\n"...), next
}

// findOrder is the order that a line is, which at worst is that for help.
func findOrder(line string) func(c *conversation, b []byte) ([]byte, sequel) {
	if line == "stats" {
		return (*conversation).showStats
	}
	for _, o := range orders {
		if args, ok := strings.CutPrefix(line, o.prefix); ok {
			return func(c *conversation, b []byte) ([]byte, sequel) { return o.run(c, b, args) }
		}
	}
	return (*conversation).help
}

// maxWord is how much of a refused line the log shows.
const maxWord = 20

func firstWord(line string) string {
	word, _, _ := strings.Cut(line, " ")
	return word[:min(len(word), maxWord)]
}

const adminHelp = "Available commands:\n" +
	"  !version\n" +
	"  !stats                  what was asked of this tracker\n" +
	"  !jobs                   the jobs and their workers\n" +
	"  !want <count> <job>     have a job done by so many workers\n" +
	"  !to <job> wake          have a job look for work now\n" +
	"  !queue                  the requests that wait for a worker\n" +
	"  !recent                 the requests that were answered last\n" +
	"  !watch                  show the log here, or no longer\n"

const shutdownHelp = "  !shutdown [<reason>]    end the process\n"

// help answers what nobody understands, too. Its lines end as the peer's do.
func (c *conversation) help(b []byte) ([]byte, sequel) {
	b = append(b, adminHelp...)
	if c.access.Shutdown != nil {
		b = append(b, shutdownHelp...)
	}
	return b, goOn
}

func (c *conversation) showVersion(b []byte, _ string) ([]byte, sequel) {
	return append(b, version+"\r\n"...), goOn
}

// showStats shows counters only once they count something, as monitoring is used to.
func (c *conversation) showStats(b []byte) ([]byte, sequel) {
	t := c.gate.traffic()
	b = fmt.Appendf(b, "uptime %d\r\n", int64(time.Since(c.started).Seconds()))
	b = fmt.Appendf(b, "pending_queries %d\r\n", t.pending)
	b = fmt.Appendf(b, "processing_queries %d\r\n", t.processing)
	b = fmt.Appendf(b, "bored_queryworkers %d\r\n", t.bored)
	counts := map[string]int64{
		"commands_not_allowed":    c.refused.commands.Load(),
		"connections":             int64(c.connections()),
		"connections_not_allowed": c.refused.strangers.Load(),
		"connections_refused":     c.refused.crowd.Load() + c.refused.crowdOfOne.Load(),
		"long_lines_delayed":      c.long.delayed.Load(),
		"queries":                 t.queries,
		"times_out_of_qworkers":   t.waited,
	}
	for _, s := range c.staff.Status() {
		counts["work_sent_to_"+string(s.Name)] = s.Sent
		counts["work_queue_for_"+string(s.Name)] = s.Queued
	}
	return appendCounts(b, counts), goOn
}

func appendCounts(b []byte, counts map[string]int64) []byte {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		job, isQueue := strings.CutPrefix(name, "work_queue_for_")
		// A queue that was worked on is shown when it is empty, too.
		if n := counts[name]; n > 0 || isQueue && counts["work_sent_to_"+job] > 0 {
			b = fmt.Appendf(b, "%s %d\r\n", name, n)
		}
	}
	return b
}

// showJobs gives every job the one process id there is, once. To operators, those that
// answer requests are a job like any other.
func (c *conversation) showJobs(b []byte, _ string) ([]byte, sequel) {
	for _, j := range c.jobs() {
		b = fmt.Appendf(b, "%s count %d\r\n", j.Name, j.Count)
		b = fmt.Appendf(b, "%s desired %d\r\n", j.Name, j.Desired)
		b = fmt.Appendf(b, "%s pids", j.Name)
		if j.Count > 0 {
			b = fmt.Appendf(b, " %d", os.Getpid())
		}
		b = append(b, "\r\n"...)
	}
	return b, goOn
}

func (c *conversation) showQueue(b []byte, _ string) ([]byte, sequel) {
	for _, p := range c.gate.waiting() {
		b = fmt.Appendf(b, "%s %s\r\n", shown(p.peer), p.text)
	}
	return b, goOn
}

func (c *conversation) showRecent(b []byte, _ string) ([]byte, sequel) {
	for _, p := range c.gate.passed() {
		b = fmt.Appendf(b, "%s %s %.4f %.4f\r\n", shown(p.peer), p.text, p.total.Seconds(), p.worked.Seconds())
	}
	return b, goOn
}

func shown(peer netip.Addr) string {
	if !peer.IsValid() {
		return "-"
	}
	return peer.String()
}

// want changes the number of workers. Before the first look at the devices nobody works,
// and the peer says so with a line of its own kind.
func (c *conversation) want(b []byte, args string) ([]byte, sequel) {
	n, name, ok := parseWant(args)
	switch {
	case !ok:
		return append(b, "ERROR: usage: !want <count> <jobclass>\r\n"...), goOn
	case name != queryWorker && !slices.Contains(job.Names(), name):
		return fmt.Appendf(b, "ERROR: Invalid class '%s'.  Valid classes: %s\r\n", name, jobList()), goOn
	case !c.staff.Looked():
		return append(b, "ERROR: Monitor has not completed initial run yet\n"...), goOn
	}
	c.employ(name, n)
	c.log.Info("an operator wants workers", zap.Stringer("operator", c.peer), zap.String("of", string(name)), zap.Int("workers", n))
	return fmt.Appendf(b, "Now desiring %d children doing '%s'.\r\n", n, name), goOn
}

// parseWant reads a count, which is at most that of [job.MaxWorkers], and a job.
func parseWant(args string) (n int, name job.Name, ok bool) {
	words := strings.Fields(args)
	if len(words) != 2 || strings.Trim(words[0], "0123456789") != "" {
		return 0, "", false
	}
	n, err := strconv.Atoi(words[0])
	if err != nil || n > job.MaxWorkers { // all digits: an error means that there are too many
		n = job.MaxWorkers
	}
	return n, job.Name(words[1]), true
}

func jobList() string {
	names := []string{string(queryWorker)}
	for _, name := range job.Names() {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// tell passes words on to the workers of a job, of whom those that answer requests
// listen to none.
func (c *conversation) tell(b []byte, args string) ([]byte, sequel) {
	name, text, _ := strings.Cut(strings.TrimSpace(args), " ")
	if name == "" || strings.TrimSpace(text) == "" {
		return append(b, "ERROR: usage: !to <jobclass> <message>\r\n"...), goOn
	}
	n := c.gate.capacity()
	if job.Name(name) != queryWorker {
		n = c.staff.Tell(job.Name(name), text)
	}
	return fmt.Appendf(b, "Message sent to %d children.\r\n", n), goOn
}

func (c *conversation) toggleWatch(b []byte, _ string) ([]byte, sequel) {
	if c.watcher != nil {
		c.unwatch()
		return append(b, "Removed you from watcher list.\r\n"...), goOn
	}
	c.watcher = c.watchers.add()
	return append(b, "Added you to watcher list.\r\n"...), beginWatching
}

// shutDown is help where it is not enabled.
func (c *conversation) shutDown(b []byte, reason string) ([]byte, sequel) {
	if c.access.Shutdown == nil {
		c.log.Warn("an operator asked in vain for a shutdown: the tracker lacks allow_shutdown", zap.Stringer("operator", c.peer))
		return c.help(b)
	}
	reason = strings.TrimSpace(reason)
	c.log.Warn("an operator asked for a shutdown", zap.Stringer("operator", c.peer), zap.String("reason", reason))
	c.access.Shutdown(reason)
	return b, hangUp
}
