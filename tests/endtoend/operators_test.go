package endtoend

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// stopWithin bounds a graceful stop.
const stopWithin = 60 * time.Second

func TestAnOperatorEndsTheProcessWhereThatIsAllowed(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	said := operate(t, c, "!shutdown now")
	if !strings.HasPrefix(said, "Available commands:\n") || strings.Contains(said, "!shutdown") {
		t.Errorf("where it is not allowed: got %q; want help without it", said)
	}
	wantStatus(t, "PUT", c.Put("kept", []byte("kept")), 201)
	c.Reload(strings.Replace(c.Caddyfile(""), "tracker {", "tracker {\n allow_shutdown", 1))
	if said := operate(t, c, "!shutdown the power goes"); said != "" {
		t.Errorf("got %q; want nothing", said)
	}
	process.Eventually(t, stopWithin, "end of the process", func() bool { return !c.Alive() })
	if tail := c.Tail(); !strings.Contains(tail, "the power goes") || !strings.Contains(tail, "shutdown complete") {
		t.Errorf("got the log %s; want the reason, and a graceful end", tail)
	}
	c.Restart()
	wantBody(t, "GET", c.Get("kept"), []byte("kept"))
}

func TestOperatorsChangeWorkersOfARealProcess(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	c.AwaitWriteable()
	if got, want := operate(t, c, "!want 3 replicate"), "Now desiring 3 children doing 'replicate'.\r\n.\r\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if got := operate(t, c, "!jobs"); !strings.Contains(got, "\r\nreplicate desired 3\r\n") {
		t.Errorf("got %q; want replicate desired 3", got)
	}
	operate(t, c, "!want 0 job_master")
	wantStatus(t, "PUT", c.Put("waits", []byte("waits")), 201)
	operate(t, c, "!want 1 job_master")
	c.AwaitSettled(process.CopiedWithin)
	if got := operate(t, c, "!stats"); !strings.Contains(got, "\r\nwork_sent_to_replicate ") {
		t.Errorf("got %q; want work sent to replicate", got)
	}
	if got := operate(t, c, "!recent"); !strings.HasSuffix(got, ".\r\n") || !strings.Contains(got, "127.0.0.1 get_devices ") {
		t.Errorf("got %q; want what was asked", got)
	}
}

// operate gives an operator's command and returns all of the answer, which is nothing if
// the connection ends.
func operate(t *testing.T, c *process.Cluster, order string) string {
	t.Helper()
	conn, err := net.Dial("tcp", c.TrackerAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, order+"\r\n"); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewReader(conn); ; {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if line == ".\r\n" || err == io.EOF {
			return said.String()
		}
		if err != nil {
			t.Fatalf("%s: got %q and %v; want an answer", order, said.String(), err)
		}
	}
}

func TestShutdownEndsTheProcessWhereItIsAllowed(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	wantStatus(t, "PUT", c.Put("kept", []byte("kept")), 201)
	if got := tellNode(t, c, "shutdown graceful\n\n"); got != "ERROR: unknown command: shutdown\r\n\r\n" {
		t.Errorf("where it is not allowed: got %q; want it unknown", got)
	}
	c.Reload(strings.Replace(c.Caddyfile(""), "storage node1 {", "storage node1 {\n allow_shutdown", 1))
	if got := tellNode(t, c, "shutdown graceful\n\n"); got != "" {
		t.Errorf("got %q; want nothing", got)
	}
	process.Eventually(t, stopWithin, "end of the process", func() bool { return !c.Alive() })
	if tail := c.Tail(); !strings.Contains(tail, "shutdown complete") {
		t.Errorf("got the log %s; want a graceful end", tail)
	}
	c.Restart()
	wantBody(t, "GET", c.Get("kept"), []byte("kept"))
}

// tellNode sends lines to the side channel and returns all answers.
func tellNode(t *testing.T, c *process.Cluster, lines string) string {
	t.Helper()
	conn, err := net.Dial("tcp", c.ManagementAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, lines); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return string(said)
}
