package tracker

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

var update = flag.Bool("update", false, "rewrite testdata/*.session with what the server answers")

// TestSessions plays the files testdata/*.session on every database, those in
// testdata/bytes where keys may be any bytes, and those in testdata/folded where A is
// taken for a, each against a cluster of its own. A line > is sent and the lines < are what must come back; a line * does
// something behind the tracker's back (see [session.act]) and may show something in
// lines <, too; a line # is for the reader. A request in double quotes is a Go string.
func TestSessions(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			// What one answers, all have to.
			playAll(t, "testdata/*.session", open, *update && name == "SQLite")
			if name == peers {
				playAll(t, "testdata/folded/*.session", open, *update)
			} else {
				playAll(t, "testdata/bytes/*.session", open, *update && name == "SQLite")
			}
		})
	}
}

func playAll(t *testing.T, pattern string, open opener, accept bool) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d sessions, %v; want some", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".session"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c := newClusterOn(t, open(t), limits{commands: 3}) // a short !jobs
			s := &session{t: t, cluster: c, client: c.dial(t), other: c.dial(t)}
			got := s.play(string(want))
			if accept {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("session %s (-want +got, -update accepts it):\n%s", name, diff)
			}
		})
	}
}

type session struct {
	t *testing.T
	*cluster
	client, other *client
	out           bytes.Buffer
}

func (s *session) play(script string) []byte {
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "<") {
			continue
		}
		s.out.WriteString(line)
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "> "):
			s.request(line[2:])
		case strings.HasPrefix(line, "* "):
			if shown := s.act(strings.Fields(line[2:])); shown != "" {
				s.show(shown)
			}
		}
	}
	return s.out.Bytes()
}

func (s *session) request(line string) {
	if unquoted, err := strconv.Unquote(line); err == nil {
		line = unquoted
	}
	s.client.send(line + "\n")
	if strings.HasPrefix(line, "!shutdown") && s.access.Load().Shutdown != nil {
		s.client.end()
		s.show("(end)")
		return
	}
	for {
		answer, ok := strings.CutSuffix(s.client.line(), "\r")
		if !ok && !strings.HasPrefix(line, "!") {
			s.t.Errorf("%q: the answer %q does not end in CR LF", line, answer)
		}
		s.show(answer)
		if !strings.HasPrefix(line, "!") || strings.HasPrefix(line, "! ") || line == "!" || answer == "." {
			return
		}
	}
}

// unsteady is what differs from run to run.
var unsteady = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`nexttry=1\d{9}`), "nexttry=TIME"},
	{regexp.MustCompile(`((?:utime|_time|time_[a-z_]+)(?:=|%3D))\d{10}`), "${1}TIME"},
	{regexp.MustCompile(`(prof_\d_time)=\d+\.\d{3}`), "$1=SECONDS"},
	{regexp.MustCompile(`^uptime \d+`), "uptime SECONDS"},
	{regexp.MustCompile(`^connections \d+`), "connections SOME"},
	{regexp.MustCompile(`^(127\.0\.0\.1 .*) \d+\.\d{4} \d+\.\d{4}\b`), "$1 TOTAL WORK"},
	{regexp.MustCompile(`\b` + strconv.Itoa(os.Getpid()) + `\b`), "PID"},
}

func (s *session) show(line string) {
	for _, u := range unsteady {
		line = u.find.ReplaceAllString(line, u.put)
	}
	fmt.Fprintf(&s.out, "< %s\n", line)
}

// act does what the words say.
func (s *session) act(words []string) string {
	s.t.Helper()
	ctx := s.t.Context()
	var err error
	switch words[0] {
	case "put": // <url> [<content>]
		_, err = s.node.do(ctx, http.MethodPut, words[1], strings.Join(words[2:], " "))
	case "break", "mend": // <ip>
		s.node.setBroken(words[1], words[0] == "break")
	case "see": // <dev> <state> <MiB total> <MiB used>
		s.see(mogile.DevID(s.num(words[1])), topology.DevSeen(words[2]), s.num(words[3]), s.num(words[4]))
	case "utilization": // <dev> <percentage>
		s.live.Observe(topology.Observations{Devices: map[mogile.DevID]topology.DeviceSeen{
			mogile.DevID(s.num(words[1])): {State: topology.SeenWriteable, Utilization: words[2], RejectsBadMD5: "1"},
		}})
	case "host": // <hostid> up|down
		s.live.Observe(topology.Observations{Hosts: map[mogile.HostID]bool{mogile.HostID(s.num(words[1])): words[2] == "up"}})
	case "copy": // <fid> <dev>
		err = s.store.AddCopy(ctx, mogile.FID(s.num(words[1])), mogile.DevID(s.num(words[2])))
	case "forget": // <fid> <dev>
		err = s.store.RemoveCopies(ctx, mogile.FID(s.num(words[1])), mogile.DevID(s.num(words[2])))
	case "class": // <fid> <classid>
		err = s.store.SetClass(ctx, mogile.FID(s.num(words[1])), mogile.ClassID(s.num(words[2])))
	case "setting": // <field> <value>
		err = s.store.SetSetting(ctx, words[1], strings.Join(words[2:], " "))
	case "unset": // <field>
		err = s.store.UnsetSetting(ctx, words[1])
	case "reload": // what the next poll does
		err = s.live.Reload(ctx)
	case "event": // <code> <fid> <dev>
		err = s.store.LogFsck(ctx, store.FsckEvent{
			Code: words[1], FID: mogile.FID(s.num(words[2])), Dev: mogile.DevID(s.num(words[3])),
		})
	case "work": // <kind> <fid> <dev> [<arg>]
		err = s.store.EnqueueWork(ctx, store.WorkRow{
			Kind: store.WorkKind(s.num(words[1])), FID: mogile.FID(s.num(words[2])), Dev: mogile.DevID(s.num(words[3])),
			Arg: strings.Join(words[4:], ""),
		})
	case "park": // <fid>
		err = s.store.Park(ctx, store.ReplicateQueue, mogile.FID(s.num(words[1])), 3)
	case "refuse": // <why>
		s.jobs.refuse(strings.Join(words[1:], " "))
	case "jobs": // <name>=<count>/<desired> ...
		s.setJobs(words[1:])
	case "looked": // yes|no
		s.jobs.setBlind(words[1] == "no")
	case "other": // <line>: another client says it and waits
		s.other.send(strings.Join(words[1:], " ") + "\n")
		s.until(func() bool { return s.server.gate.traffic().pending > 0 })
	case "answer": // what the other client gets
		return s.other.line()
	case "log": // <text>
		s.log.Info(strings.Join(words[1:], " "), zap.Int("n", 5))
		s.log.Debug("nobody sees this")
		s.log.With(zap.String("job", "replicate")).Warn("of a job\nin two lines", zap.String("key", "a b"))
		return s.client.line() + "\n< " + s.client.line()
	case "operators": // <prefix>
		s.access.Store(&Access{AdminAllow: []netip.Prefix{netip.MustParsePrefix(words[1])}, Allow: s.access.Load().Allow})
	case "clients": // <prefix>
		s.access.Store(&Access{Allow: []netip.Prefix{netip.MustParsePrefix(words[1])}, AdminAllow: s.access.Load().AdminAllow})
	case "allow_shutdown":
		s.access.Store(&Access{Shutdown: func(reason string) { s.jobs.say(fmt.Sprintf("shutdown(%q)", reason)) }})
	case "heard": // what nodes and jobs were told since the last time
		return s.node.took() + "; " + s.jobs.took()
	default:
		s.t.Fatalf("no such act: %v", words)
	}
	if err != nil {
		s.t.Fatalf("%v: %v", words, err)
	}
	return ""
}

// until waits for what another connection does.
func (s *session) until(cond func() bool) {
	s.t.Helper()
	late := time.After(answerWait)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatalf("waited %v in vain", answerWait)
		}
	}
}

func (s *session) num(word string) int64 {
	s.t.Helper()
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *session) setJobs(words []string) {
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	for _, w := range words {
		name, counts, _ := strings.Cut(w, "=")
		count, desired, _ := strings.Cut(counts, "/")
		s.jobs.staff = append(s.jobs.staff, job.Status{
			Name: job.Name(name), Count: int(s.num(count)), Desired: int(s.num(desired)),
			Queued: 2 * s.num(count), Sent: 3 * s.num(count),
		})
	}
}
