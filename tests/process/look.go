package process

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// adminTimeout bounds one question to the admin API.
const adminTimeout = 10 * time.Second

// admin asks the admin API for a path.
func (c *Caddy) admin(path string) (body string, status int, err error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: adminTimeout}
	resp, err := client.Get("http://" + c.Admin + path)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), resp.StatusCode, err
}

// Goroutines is how many goroutines the process has.
func (c *Caddy) Goroutines() int {
	c.t.Helper()
	text := c.Stacks()
	var n int
	if _, err := fmt.Sscanf(text, "goroutine profile: total %d", &n); err != nil {
		c.t.Fatalf("count goroutines: %v in %.100q", err, text)
	}
	return n
}

// Stacks is the goroutines by what they do, for failure messages.
func (c *Caddy) Stacks() string {
	c.t.Helper()
	text, status, err := c.admin("/debug/pprof/goroutine?debug=1")
	if err != nil || status != http.StatusOK {
		c.t.Fatalf("ask for goroutines: status %d, %v", status, err)
	}
	return text
}

// Descriptors is how many files and sockets the process has open.
func (c *Caddy) Descriptors() int {
	c.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.PID()))
	if err != nil {
		c.t.Fatalf("count descriptors: %v", err)
	}
	return len(entries)
}

// RSS is the resident memory of the process in bytes.
func (c *Caddy) RSS() int64 { return c.memory("VmRSS:") }

// PeakRSS is the most resident memory the process has had, in bytes.
func (c *Caddy) PeakRSS() int64 { return c.memory("VmHWM:") }

// ResetPeakRSS makes the present memory the peak, so that what follows can be told
// from the start.
func (c *Caddy) ResetPeakRSS() {
	c.t.Helper()
	const peak = "5" // see proc_pid_clear_refs(5)
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", c.PID()), []byte(peak), 0); err != nil {
		c.t.Fatalf("reset the peak of memory: %v", err)
	}
}

// memory reads a line such as VmRSS:	 1234 kB of the process's status.
func (c *Caddy) memory(field string) int64 {
	c.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID()))
	if err != nil {
		c.t.Fatalf("read memory: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), "\n"+field)
	words := strings.Fields(rest)
	if len(words) == 0 {
		c.t.Fatalf("read memory: no %s in %q", field, text)
	}
	kib, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		c.t.Fatalf("read memory: %v", err)
	}
	return kib << 10
}
