package moving

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
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
	in.wantAll(l.stop(t))
}

// takeEdges is step 2.
func (in *installation) takeEdges() {
	in.ourEdge = process.Start(in.t, process.Options{
		Caddyfile: in.edgeFile(in.tracker.addr), Ready: []string{strings.TrimPrefix(in.edge, "http://")},
	})
	for i := range oldFiles {
		if err := in.get(in.edge, oldKey(i)); err != nil {
			in.t.Error(err)
		}
	}
	in.balance(in.edge)
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
		Caddyfile: in.trackerFile("workers replicate 0\n\t\t\tworkers delete 0"), Ready: []string{in.ourTrackerAddr()},
	})
	eventually(in.t, "devices that ours finds writeable", func() bool { return strings.Count(in.mogadm("check"), "writeable") == len(in.nodes) })
	for _, line := range []string{"!want 4 replicate", "!want 2 delete"} {
		in.say(line)
	}
	in.ourTracker.Reload(in.trackerFile("workers replicate 4\n\t\t\tworkers delete 2"))
	in.ourEdge.Reload(in.edgeFile(in.ourTrackerAddr(), in.tracker.addr))
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
	answer := make([]byte, 100)
	if n, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "Now desiring") {
		in.t.Errorf("%s: got %q, %v; want it done", line, answer[:n], err)
	}
}

// leaveOldTracker is step 4 of docs/takeover.md.
func (in *installation) leaveOldTracker() {
	in.tracker.stop()
	in.ourEdge.Reload(in.edgeFile(in.ourTrackerAddr()))
	eventually(in.t, "empty queue of files to copy", func() bool {
		return in.db.Number(in.t, "SELECT COUNT(*) FROM file WHERE devcount < 2 AND fid < (SELECT MAX(fid) - 20 FROM (SELECT fid FROM file) f)") == 0
	})
}

// check is step 6.
func (in *installation) check() {
	in.mogadm("fsck", "start")
	eventually(in.t, "end of the check", func() bool { return strings.Contains(in.mogadm("fsck", "status"), "Running: No") })
	if n := in.db.Number(in.t, fmt.Sprintf("SELECT COUNT(*) FROM fsck_log WHERE fid <= %d", oldFiles)); n > 0 {
		in.t.Errorf("got %d complaints of a check about the old files; want none", n)
	}
}

func (in *installation) backToOldTracker() {
	in.tracker.start()
	in.ourEdge.Reload(in.edgeFile(in.tracker.addr))
	eventually(in.t, "writers that have found out that the old tracker is back", in.tracker.hears)
	in.load.settle()
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
	in.balance(in.site)
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
	eventually(in.t, "second copies by the old tracker", func() bool {
		return in.db.Number(in.t, "SELECT COUNT(*) FROM file WHERE devcount < 2") == 0
	})
	for _, key := range keys {
		if err := in.get(in.balancer, key); err != nil {
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
