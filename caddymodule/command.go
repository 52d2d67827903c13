package caddymodule

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/mogilefs/caddy-mogilefs/cli"
)

func init() {
	root := cli.Root(readPlan)
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  root.Name,
		Usage: "<command>",
		Short: root.Short,
		Long:  root.Long + "\n\n" + "Without arguments it lists its commands. docs/cli.md has them all.",
		CobraFunc: func(cmd *cobra.Command) {
			addOptions(cmd, cmd.PersistentFlags(), cli.Global())
			grow(cmd, root)
		},
	})
}

// systemConfig is where operators of MogileFS name their trackers.
const systemConfig = "/etc/mogilefs/mogilefs.conf"

// runCommand hands a command line to package cli, words before arguments. Cobra only finds the
// command: its own way with options and errors is not mogadm's.
func runCommand(cmd *cobra.Command, args []string) error {
	line := slices.Clone(args)
	for c := cmd; c.HasParent() && c.Parent().HasParent(); c = c.Parent() {
		line = append([]string{c.Name()}, line...)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends what does not heed the first
	switch code := cli.Run(ctx, commandEnv(), cli.Root(readPlan), line); code {
	case 0:
		return nil
	case 1:
		return errors.New("exiting with status 1") // Caddy's way keeps only the others
	default:
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
	}
}

func commandEnv() cli.Env {
	home, _ := os.UserHomeDir() // without one there is no file there
	if home != "" {
		home = filepath.Join(home, ".mogilefs.conf")
	}
	return cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Program:     filepath.Base(os.Args[0]) + " mogilefs",
		InTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		ErrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		Color:       os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		Size: func() (columns, rows int) {
			columns, rows, _ = term.GetSize(int(os.Stdout.Fd())) // 0 when nobody knows
			return columns, rows
		},
		SystemConfig: systemConfig, HomeConfig: home, UtilsConfig: os.Getenv("MOGUTILSCONF"),
	}
}
