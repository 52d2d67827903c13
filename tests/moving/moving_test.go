package moving

import (
	"bufio"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	process.Eventually(t, within, what, cond)
}

func TestTheStepsOfThePageAndBack(t *testing.T) {
	in := newInstallation(t)
	l := in.startLoad()
	in.load = l
	for _, step := range []struct {
		name string
		take func()
	}{
		{"2. edges", in.takeEdges},
		{"3. the first storage node", func() { in.takeNode(in.nodes[0]) }},
		{"3. the second storage node", func() { in.takeNode(in.nodes[1]) }},
		{"4. a tracker beside the old one", in.joinTracker},
		{"4. without the old one", in.leaveOldTracker},
		{"6. the end", in.check},
		{"back to the old tracker", in.backToOldTracker},
		{"back to the old storage nodes", in.backToOldNodes},
		{"back to the old edges", in.backToOldEdges},
	} {
		l.takes(step.name)
		l.more()
		step.take()
		l.more()
	}
	stored := l.stop()
	in.wantSentAgain(0)
	in.wantAll(stored)
}

// takeEdges is step 2. Our tracker has an address, and nobody there.
func (in *installation) takeEdges() {
	in.ourEdge = process.Start(in.t, process.Options{
		Binary: in.binary, Caddyfile: in.edgeFile(in.tracker.addr, in.ourTrackerAddr()), Ready: []string{strings.TrimPrefix(in.edge, "http://")},
	})
	for i := range oldFiles {
		if err := in.get(in.edge, oldKey(i)); err != nil {
			in.t.Error(err)
		}
	}
	in.balancer.give(in.t, in.edge)
}

// retire keeps new uploads from a node, and lets those end that were begun.
func (in *installation) retire(n *oldNode) {
	in.t.Helper()
	in.mark(n, mogile.HostReadonly)
	in.load.settle()
}

// bringBack lets uploads come again, and those end that were begun without the node.
func (in *installation) bringBack(n *oldNode) {
	in.t.Helper()
	in.mark(n, mogile.HostAlive)
	in.load.settle()
}

// mark is mogadm host mark, with old trackers.
func (in *installation) mark(n *oldNode, state mogile.HostState) {
	in.t.Helper()
	in.db.Do(in.t, fmt.Sprintf("UPDATE host SET status = '%s' WHERE hostname = '%s'", state, hostName(n.dev)))
}

// takeNode is step 3 for one node.
func (in *installation) takeNode(n *oldNode) {
	in.retire(n)
	n.stop()
	in.startNode(n)
	for i := range oldFiles {
		in.wantServed(n, mogile.FID(i+1), oldKey(i))
	}
	in.bringBack(n)
}

// wantServed reads a copy from whoever is at the node's address.
func (in *installation) wantServed(n *oldNode, fid mogile.FID, key string) {
	in.t.Helper()
	resp, err := in.http.Get(n.base() + fid.Path(n.dev))
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	if want := int64(len(content(key))); resp.StatusCode != 200 || resp.ContentLength != want {
		in.t.Errorf("%s of %s: got %s, %d bytes; want 200, %d", key, hostName(n.dev), resp.Status, resp.ContentLength, want)
	}
}

// joinTracker is steps 2 and 3 of docs/takeover.md.
func (in *installation) joinTracker() {
	in.ourTracker = process.Start(in.t, process.Options{
		Binary: in.binary, Caddyfile: in.trackerFile("workers replicate 0\n\t\t\tworkers delete 0"), Ready: []string{in.ourTrackerAddr()},
	})
	ours := in.ask(in.ourTrackerAddr())
	eventually(in.t, "devices that ours finds writeable", func() bool {
		devices, err := ours.Devices(in.t.Context())
		return err == nil && !slices.ContainsFunc(devices, func(d client.Device) bool { return d.Observed != "writeable" })
	})
	if out := in.mogadm("check"); strings.Count(out, "writeable") != len(in.nodes) {
		in.t.Errorf("mogadm check: got %q; want all devices writeable", out)
	}
	in.load.give(in.tracker.addr, in.ourTrackerAddr())
	for _, line := range []string{"!want 4 replicate", "!want 2 delete"} {
		in.say(line)
	}
	in.ourTracker.Reload(in.trackerFile("workers replicate 4\n\t\t\tworkers delete 2"))
}

// reloadEdge gives our edge other trackers. Of the requests that readers have under way each may be
// sent again, and no other is.
func (in *installation) reloadEdge(trackers ...string) {
	in.t.Helper()
	in.wantSentAgain(0)
	in.ourEdge.Reload(in.edgeFile(trackers...))
	in.load.settle()
	in.wantSentAgain(readers)
}

// wantSentAgain looks at how many requests the balancer has sent twice since the last time.
func (in *installation) wantSentAgain(atMost int64) {
	in.t.Helper()
	n := in.balancer.again.Swap(0)
	if n > atMost {
		in.t.Errorf("got %d requests that had no answer the first time; want at most %d", n, atMost)
	}
	if n > 0 {
		in.t.Logf("%d requests sent again", n)
	}
}

// say gives our tracker a line for operators.
func (in *installation) say(line string) {
	in.t.Helper()
	conn, err := net.Dial("tcp", in.ourTrackerAddr())
	if err != nil {
		in.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
		in.t.Fatal(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(answer, "Now desiring") {
		in.t.Errorf("%s: got %q, %v; want it done", line, answer, err)
	}
}

// leaveOldTracker is step 4 of docs/takeover.md.
func (in *installation) leaveOldTracker() {
	in.load.give(in.ourTrackerAddr())
	in.load.settle()
	in.tracker.stop() // our edge finds out
	eventually(in.t, "second copies of what there is", in.replicated(in.db.Number(in.t, "SELECT MAX(fid) FROM file")))
}

// replicated reports whether the files up to one have their copies.
func (in *installation) replicated(highest int64) func() bool {
	return func() bool {
		return in.db.Number(in.t, fmt.Sprintf("SELECT COUNT(*) FROM file WHERE devcount < %d AND fid <= %d", len(in.nodes), highest)) == 0
	}
}

// check is step 6, with what it takes away.
func (in *installation) check() {
	in.mogadm("fsck", "start")
	ours := in.ask(in.ourTrackerAddr())
	eventually(in.t, "end of the check", func() bool {
		status, err := ours.Do(in.t.Context(), "fsck_status", protocol.Pairs{})
		return err == nil && status["running"] == "0"
	})
	if out := in.mogadm("fsck", "status"); !strings.Contains(out, "Running: No") {
		in.t.Errorf("mogadm fsck status: got %q; want it at its end", out)
	}
	if n := in.db.Number(in.t, fmt.Sprintf("SELECT COUNT(*) FROM fsck_log WHERE fid <= %d", oldFiles)); n > 0 {
		in.t.Errorf("got %d complaints of a check about the old files; want none", n)
	}
	in.reloadEdge(in.ourTrackerAddr())
}

func (in *installation) backToOldTracker() {
	in.tracker.start()
	in.load.give(in.tracker.addr)
	in.reloadEdge(in.tracker.addr)
	in.ourTracker.Stop()
}

func (in *installation) backToOldNodes() {
	for _, n := range in.nodes {
		in.retire(n)
		in.ourNodes[n.dev].Stop()
		n.start(in.t)
		in.bringBack(n)
	}
}

func (in *installation) backToOldEdges() {
	in.balancer.give(in.t, in.site)
	in.load.settle()
	in.ourEdge.Stop()
}

// wantAll looks for every file, through the old site and on the old disks.
func (in *installation) wantAll(stored []string) {
	in.t.Helper()
	keys := stored
	for i := range oldFiles {
		keys = append(keys, oldKey(i))
	}
	eventually(in.t, "second copies by the old tracker", in.replicated(math.MaxInt64))
	for _, key := range keys {
		if err := in.get(in.balancer.url, key); err != nil {
			in.t.Errorf("at the end: %v", err)
		}
		fid := mogile.FID(in.db.Number(in.t, "SELECT fid FROM file WHERE dmid = 1 AND dkey = '"+key+"'"))
		for _, n := range in.nodes {
			if st, err := os.Stat(n.file(fid.Path(n.dev))); err != nil || st.Size() != int64(len(content(key))) {
				in.t.Errorf("at the end: %s on %s: got %v, %v; want %d bytes", key, hostName(n.dev), st, err, len(content(key)))
			}
		}
	}
}
