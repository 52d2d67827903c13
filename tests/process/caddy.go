package process

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

const (
	// startWithin bounds how long a process may take to answer. A race build on
	// a busy machine needs seconds.
	startWithin = 60 * time.Second
	// stopWithin bounds a graceful stop.
	stopWithin = 60 * time.Second
	// tailBytes is how much of the log a failed test shows.
	tailBytes = 6 << 10
)

// Options is how a process is started.
type Options struct {
	// Dir is the working directory; empty means a new one for the test. The
	// log, the configuration and all of Caddy's own data go there.
	Dir string
	// Caddyfile is the configuration. It says nothing of the admin address,
	// which the harness chooses.
	Caddyfile string
	// JSON says that the configuration is Caddy's JSON and no Caddyfile.
	JSON bool
	// Ready is addresses that accept connections once the process is up.
	Ready []string
	// Binary is the command to run; empty means [Binary].
	Binary string
	// Host is where the admin API listens; empty means the loopback.
	Host string
	// Launch starts the process, on another machine for instance; nil means here.
	Launch func(*exec.Cmd) error
}

// Caddy is a process under test. Its methods are for the test's own goroutine.
type Caddy struct {
	// Dir is the working directory, Admin the address of the admin API.
	Dir, Admin string

	t       testing.TB
	options Options
	cmd     *exec.Cmd
	exited  chan struct{} // closed when the process is gone
}

// Start runs a process and returns when it answers. It is killed when the test
// ends, and the test fails if its log then shows a panic or a data race.
func Start(t testing.TB, o Options) *Caddy {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Binary == "" {
		o.Binary = Binary(t)
	}
	c := &Caddy{Dir: o.Dir, Admin: loopback(FreePorts(t, 1)[0]), t: t, options: o}
	if o.Host != "" {
		c.Admin = net.JoinHostPort(o.Host, "2019")
	}
	c.write(o.Caddyfile)
	t.Cleanup(c.finish)
	c.Restart()
	return c
}

// Restart starts the process again after Kill or Stop: the same data, the same
// ports.
func (c *Caddy) Restart() {
	c.t.Helper()
	log, err := os.OpenFile(c.logPath(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		c.t.Fatalf("open log: %v", err)
	}
	defer log.Close() // the process has its own descriptor
	c.cmd = c.command(append([]string{"run"}, c.configArgs()...)...)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	// A test binary that is killed takes its processes along.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	launch := c.options.Launch
	if launch == nil {
		launch = (*exec.Cmd).Start
	}
	if err := launch(c.cmd); err != nil {
		c.t.Fatalf("start caddy: %v", err)
	}
	c.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) { // Kill and Stop wait for it
		defer close(exited)
		_ = cmd.Wait() // the exit code is in ProcessState
	}(c.cmd, c.exited)
	if !poll(c.t.Context(), startWithin, func() bool { return c.gone() || c.answers() }) || c.gone() {
		c.t.Fatalf("caddy did not come up within %v:\n%s", startWithin, c.Tail())
	}
}

// command is a caddy command with this process's environment. XDG directories of
// its own keep it away from the user's Caddy; CADDY_ADMIN sets the admin address.
func (c *Caddy) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.options.Binary, args...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(),
		"HOME="+c.Dir,
		"XDG_CONFIG_HOME="+filepath.Join(c.Dir, "config"),
		"XDG_DATA_HOME="+filepath.Join(c.Dir, "share"),
		"CADDY_ADMIN="+c.Admin,
	)
	return cmd
}

// answers reports whether the admin API and all ready addresses do.
func (c *Caddy) answers() bool {
	for _, addr := range c.options.Ready {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		conn.Close()
	}
	_, status, err := c.admin("/config/")
	return err == nil && status == http.StatusOK
}

func (c *Caddy) gone() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// PID is the process id.
func (c *Caddy) PID() int { return c.cmd.Process.Pid }

// Alive reports whether the process runs.
func (c *Caddy) Alive() bool { return !c.gone() }

// Kill ends the process as a power cut would, at once and without its knowledge,
// and waits until it is gone.
func (c *Caddy) Kill() {
	c.t.Helper()
	c.signal(syscall.SIGKILL)
	<-c.exited
}

// Stop ends the process as an operator would, waits, and fails the test if it was
// not a clean end.
func (c *Caddy) Stop() {
	c.t.Helper()
	c.signal(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(c.t.Context(), stopWithin)
	defer cancel()
	select {
	case <-c.exited:
	case <-ctx.Done():
		c.t.Fatalf("caddy did not stop within %v:\n%s", stopWithin, c.Tail())
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		c.t.Fatalf("stop caddy: got exit code %d; want 0:\n%s", code, c.Tail())
	}
}

func (c *Caddy) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Fatalf("send %v: %v", s, err)
	}
}

// Reload makes the running process take another Caddyfile, with the command that
// operators use, and fails the test if it is refused.
func (c *Caddy) Reload(caddyfile string) {
	c.t.Helper()
	c.write(caddyfile)
	cmd := c.command(append([]string{"reload", "--force", "--address", c.Admin}, c.configArgs()...)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("reload: %v\n%s\n%s", err, text, c.Tail())
	}
}

func (c *Caddy) write(caddyfile string) {
	c.t.Helper()
	if err := os.WriteFile(c.configPath(), []byte(caddyfile), 0o644); err != nil {
		c.t.Fatalf("write the Caddyfile: %v", err)
	}
}

func (c *Caddy) configArgs() []string {
	args := []string{"--config", c.configPath()}
	if !c.options.JSON {
		args = append(args, "--adapter", "caddyfile")
	}
	return args
}

// configPath has a name by which Caddy knows what is in it.
func (c *Caddy) configPath() string {
	if c.options.JSON {
		return filepath.Join(c.Dir, "caddy.json")
	}
	return filepath.Join(c.Dir, "Caddyfile")
}

func (c *Caddy) logPath() string { return filepath.Join(c.Dir, "caddy.log") }

// Tail is the end of the log.
func (c *Caddy) Tail() string {
	text, err := os.ReadFile(c.logPath())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-tailBytes):])
}

// disaster is what no log may show: a runtime panic or fatal error at the start of a
// line, a panic that the HTTP server caught, a report of the race detector.
var disaster = regexp.MustCompile(`(?m)^(panic|fatal error|unexpected fault address).*|panic serving.*|WARNING: DATA RACE(.*\n){0,60}`)

// finish kills the process if it runs, and looks at what it logged.
func (c *Caddy) finish() {
	if c.exited != nil {
		c.signal(syscall.SIGKILL)
		<-c.exited
	}
	text, err := os.ReadFile(c.logPath())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Errorf("read log: %v", err)
	}
	if found := disaster.Find(text); found != nil {
		c.t.Errorf("caddy's log shows a disaster:\n%s", found)
	}
	if c.t.Failed() {
		c.t.Logf("end of caddy's log:\n%s", c.Tail())
	}
}
