package caddymodule

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mogilefs/caddy-mogilefs/cli"
)

// grow makes cobra know what package cli knows, for manual pages and completion.
func grow(cmd *cobra.Command, c *cli.Command) {
	cmd.DisableFlagParsing = true
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.RunE = runCommand
	addOptions(cmd, cmd.Flags(), c.Options)
	if !c.TakesFiles() {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range c.Sub {
		below := &cobra.Command{
			Use:   useOf(sub),
			Short: sub.Short,
			Long:  strings.TrimSpace(sub.Short + ".\n\n" + sub.Long),
		}
		grow(below, sub)
		cmd.AddCommand(below)
	}
}

// useOf writes <hostname> as HOSTNAME: manual pages take the former for markup.
func useOf(c *cli.Command) string {
	return argument.ReplaceAllStringFunc(c.Line(c.Name), func(arg string) string { return strings.ToUpper(strings.Trim(arg, "<>")) })
}

var argument = regexp.MustCompile(`<[^>]*>`)

// addOptions registers options in a set of flags of the command.
func addOptions(cmd *cobra.Command, flags *pflag.FlagSet, options []cli.Option) {
	for _, o := range options {
		if o.Name == "help" {
			continue // cobra has it
		}
		if o.IsSwitch() {
			flags.Bool(o.Name, false, o.Help)
			continue
		}
		flags.String(o.Name, "", o.Help)
		if o.Value != "file" && o.Value != "path" {
			_ = cmd.RegisterFlagCompletionFunc(o.Name, cobra.NoFileCompletions) // fails for unknown flags only
		}
	}
}
