package frame

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

const (
	// defaultTracker is asked when none is configured (docs/spec/cli.md §1).
	defaultTracker = "127.0.0.1:7001"
	// defaultTimeout is mogadm's.
	defaultTimeout = 15 * time.Second
	// maxIdle is as many requests as a client has under way: those of many files are answered
	// together, and a connection that waits for nothing costs a short call nothing.
	maxIdle = 64
)

// Call is one call of a command.
type Call struct {
	Env
	parsed   parsed
	command  *Command
	bare     bool           // neither arguments nor options were given
	trackers *client.Client // or nil
}

// Run carries out a command line, without the program's name, and returns the exit code.
func Run(ctx context.Context, e Env, root *Command, line []string) int {
	p, err := parse(root, line)
	c := &Call{Env: e, parsed: p, command: p.command(), bare: len(p.args)+len(p.options) == 0}
	if err == nil {
		err = c.parsed.configure(e)
	}
	switch {
	case err != nil:
		fmt.Fprintln(c.Stderr, err)
		fmt.Fprintf(c.Stderr, "  %s --help shows how it is used\n", c.words())
		return 1
	case c.Given("help"):
		return c.showUsage()
	case c.command.Run == nil:
		return c.showGroup()
	}
	if c.command.NeedsWords && c.bare {
		return c.showUsage()
	}
	if why := c.checkArgs(); why != "" {
		return c.misused(why)
	}
	defer c.close()
	if err := c.command.Run(ctx, c); err != nil {
		return c.exit(err)
	}
	return 0
}

// checkArgs says what is wrong with the number of arguments.
func (c *Call) checkArgs() string {
	n := len(c.parsed.args)
	switch {
	case n < c.command.required():
		return fmt.Sprintf("Missing argument '%s'", argName(c.command.Args[n]))
	case n > len(c.command.Args) && !c.command.takesAny():
		return fmt.Sprintf("Unknown argument '%s'", c.parsed.args[len(c.command.Args)])
	}
	return ""
}

// Arg is an argument by its name; empty when it was left out.
func (c *Call) Arg(name string) string {
	i := slices.IndexFunc(c.command.Args, func(arg string) bool { return argName(arg) == name })
	if i < 0 || i >= len(c.parsed.args) {
		return ""
	}
	return c.parsed.args[i]
}

// Rest is all arguments from the one with that name on.
func (c *Call) Rest(name string) []string {
	i := slices.IndexFunc(c.command.Args, func(arg string) bool { return argName(arg) == name })
	if i < 0 || i >= len(c.parsed.args) {
		return nil
	}
	return c.parsed.args[i:]
}

// Option is the value of an option; empty when it was not given.
func (c *Call) Option(name string) string { return c.parsed.options[name] }

// Given reports whether an option has been given; a switch set to 0 was not.
func (c *Call) Given(name string) bool {
	value, ok := c.parsed.options[name]
	return ok && (value != "0" || !c.isSwitch(name))
}

func (c *Call) isSwitch(name string) bool {
	return slices.ContainsFunc(c.parsed.known(), func(o Option) bool { return o.Name == name && o.IsSwitch() })
}

// Done says what was done, to those who want to hear it.
func (c *Call) Done(format string, args ...any) {
	if c.Given("verbose") {
		fmt.Fprintf(c.Stdout, format+"\n", args...)
	}
}

// Line is how a command of ours is called, for advice: with what this call was given to find
// the trackers.
func (c *Call) Line(words string) string {
	line := c.Program
	if file := c.Option("config"); file != "" && !c.command.OwnConfig {
		line += " --config=" + file
	}
	return line + " " + words
}

// words is the program and the command as they were called.
func (c *Call) words() string {
	words := c.Program
	for _, cmd := range c.parsed.path[1:] {
		words += " " + cmd.Name
	}
	return words
}

// Addresses are the trackers as they were configured.
func (c *Call) Addresses() []string { return c.addresses() }

func (c *Call) addresses() []string {
	var list []string
	for _, s := range strings.Split(c.Option("trackers"), ",") {
		if s = strings.TrimSpace(s); s != "" && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		list = []string{defaultTracker}
	}
	return list
}

// Trackers is a client of the trackers, the same at every call.
func (c *Call) Trackers() (*client.Client, error) {
	if c.trackers != nil {
		return c.trackers, nil
	}
	var err error
	c.trackers, err = c.Dial(c.addresses()...)
	return c.trackers, err
}

// Dial returns a client of some trackers, which the caller closes.
func (c *Call) Dial(addresses ...string) (*client.Client, error) {
	timeout, err := c.Timeout()
	if err != nil {
		return nil, err
	}
	secure, err := c.tls()
	if err != nil {
		return nil, err
	}
	trackers, err := client.New(client.Config{Addresses: addresses, Timeout: timeout, NodeTimeout: timeout, TLS: secure, MaxIdle: maxIdle})
	if err != nil {
		return nil, &Failure{Err: err, Next: "name the trackers with --trackers=host:port,..."}
	}
	return trackers, nil
}

func (c *Call) close() {
	if c.trackers != nil {
		_ = c.trackers.Close() // never fails
	}
}

// Timeout is how long a tracker may take to answer, and a node in checks.
func (c *Call) Timeout() (time.Duration, error) {
	s := c.Option("timeout")
	if s == "" {
		return defaultTimeout, nil
	}
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || seconds <= 0 || seconds > time.Duration(1<<62).Seconds() {
		return 0, fmt.Errorf("timeout %q: want a number of seconds", s)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// tls is for tls:// trackers; nil for the defaults.
func (c *Call) tls() (*tls.Config, error) {
	ca, cert, key := c.Option("tls-ca"), c.Option("tls-cert"), c.Option("tls-key")
	if ca == "" && cert == "" && key == "" {
		return nil, nil
	}
	config := new(tls.Config)
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("tls-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("tls-ca %s: no certificate in it", ca)
		}
	}
	if cert != "" || key != "" {
		if cert == "" || key == "" {
			return nil, errors.New("tls-cert and tls-key belong together: name both")
		}
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("tls-cert: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
