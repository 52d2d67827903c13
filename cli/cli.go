// Package cli is the command line for operators: caddy mogilefs with mogadm's words
// (docs/spec/cli.md), and tools for files beside them.
//
// A call such as
//
//	caddy mogilefs --trackers=10.0.0.1,10.0.0.2 host mark store3 down
//
// walks through it so: caddymodule hands [Run] the words and the world; cli/frame finds the
// command among [Root], reads options and config files, and calls it; cli/admin asks a
// tracker and writes what mogadm would write, cli/files moves files with
// cli/transfer, cli/sign signs URLs, cli/top draws a screen, cli/doctor looks at
// everything, and cli/capacity knows what an installation needs.
//
// It knows no Caddy, but is handed what reads Caddy's configurations. What it says to trackers and
// storage nodes are the old protocols, so it works with those of MogileFS too, and from any
// machine that reaches them.
package cli

import (
	"context"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/cli/admin"
	"github.com/mogilefs/caddy-mogilefs/cli/capacity"
	"github.com/mogilefs/caddy-mogilefs/cli/doctor"
	"github.com/mogilefs/caddy-mogilefs/cli/files"
	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/sign"
	"github.com/mogilefs/caddy-mogilefs/cli/top"
)

// Env is the world that a call sees.
type Env = frame.Env

// Run carries out a command line, without the program's name, and returns the exit code.
// It returns soon after ctx is over. root is what [Root] returns.
func Run(ctx context.Context, e Env, root *Command, line []string) int {
	return frame.Run(ctx, e, root, line)
}

// Root is the tree of all commands. read is how doctor reads configurations; nil means that it
// can't.
func Root(read doctor.Reader) *Command {
	return &frame.Command{
		Name: "mogilefs", Short: "Operates MogileFS: hosts, devices, domains, checks, files",
		Long: "With the words, options, output and exit codes of mogadm, so that scripts go on with\n" +
			"alias mogadm='caddy mogilefs'. Options may stand before or behind the command.",
		Sub: slices.Concat(admin.Commands(), files.Commands(), []*frame.Command{sign.Command(), top.Command(), doctor.Command(read), capacity.Command()}),
	}
}

// Command and Option are the grammar, for those who describe it elsewhere.
type (
	// Command is a command, or a group of them.
	Command = frame.Command
	// Option is an option of a command.
	Option = frame.Option
)

// Global are the options of all commands.
func Global() []Option { return frame.Global }
