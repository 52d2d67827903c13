package frame

import (
	"context"
	"slices"
	"strings"
)

// Command is a command, or a group of them.
type Command struct {
	// Name is the word that calls it.
	Name string
	// Args are its arguments, all of which must be given. A name that ends in ... takes any
	// number, and one in brackets may be left out; both come last.
	Args []string
	// Short is one line about it, without a full stop. Long may follow.
	Short, Long string
	Options     []Option
	// Sub are the commands of a group, which has no Run.
	Sub []*Command
	// Run does the work. The error's exit code is 1, unless it wraps a [*Failure] with another.
	Run func(ctx context.Context, c *Call) error
	// Gentle says that to show how it is used is no failure: with --help, and when it is called
	// with nothing at all.
	Gentle bool
	// NeedsWords says that it is shown how it is used when it is called with nothing at all,
	// although no argument is needed when there are options.
	NeedsWords bool
	// FailureExit is the exit code when Run fails; 0 means 1.
	FailureExit int
	// OwnConfig says that its option config names something of its own, and no file of ours.
	OwnConfig bool
}

// Option is an option: --name=value or --name value, or --name alone for a switch.
type Option struct {
	Name string
	// Value names the value in the usage; empty for a switch.
	Value string
	// Help is a few words, without a full stop.
	Help string
	// Alias is another name that old scripts use.
	Alias string
	// Config is the key of the config files that sets it; empty when none does.
	Config string
}

// IsSwitch reports whether the option has no value.
func (o Option) IsSwitch() bool { return o.Value == "" }

// Global are the options of all commands.
var Global = []Option{
	{Name: "trackers", Value: "host:port,...", Help: "the trackers; tls://host:port for one behind TLS. The port is 7001 when there is none", Config: "trackers"},
	{Name: "config", Alias: "conf", Value: "file", Help: "a config file, read after /etc/mogilefs/mogilefs.conf and ~/.mogilefs.conf, which win"},
	{Name: "timeout", Value: "seconds", Help: "how long a tracker may take to answer; 15 by default", Config: "timeout"},
	{Name: "tls-ca", Value: "file", Help: "certificates that vouch for tls:// trackers; the system's by default", Config: "tls_ca"},
	{Name: "tls-cert", Value: "file", Help: "our own certificate for tls:// trackers", Config: "tls_cert"},
	{Name: "tls-key", Value: "file", Help: "the key of tls-cert", Config: "tls_key"},
	{Name: "json", Help: "write listings as JSON"},
	{Name: "verbose", Help: "say what was done"},
	{Name: "help", Help: "show how a command is used"},
	{Name: "lib", Value: "path", Help: "means nothing; old scripts set it", Config: "lib"},
}

// find returns the group's command with that name, or nil.
func (c *Command) find(name string) *Command {
	for _, sub := range c.Sub {
		if sub.Name == name {
			return sub
		}
	}
	return nil
}

// required is how many arguments there must be at least.
func (c *Command) required() int {
	n := 0
	for _, arg := range c.Args {
		if !strings.HasPrefix(arg, "[") {
			n++
		}
	}
	return n
}

// TakesFiles reports whether arguments name files here.
func (c *Command) TakesFiles() bool {
	return slices.ContainsFunc(c.Args, func(arg string) bool {
		name := argName(arg)
		return name == "file" || name == "directory" || name == "archive"
	})
}

// takesAny reports whether there may be any number of arguments.
func (c *Command) takesAny() bool {
	return len(c.Args) > 0 && strings.Contains(c.Args[len(c.Args)-1], "...")
}

// argName is the plain name of an argument.
func argName(arg string) string {
	return strings.Trim(strings.TrimSuffix(strings.Trim(arg, "[]"), "..."), "[]")
}
